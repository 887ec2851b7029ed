# Fleets on NixOS: users, lingering, limits, rosters and units of tenants come from the configuration.
#
# Everything that a roster means is rendered by fleet itself, when the system is built: nothing is imported from
# a derivation. The units are for every user to read in /etc/systemd/user; only a tenant's own manager
# starts them, since they ask for that tenant's files in /etc/mosaic/fleet.
{ config, lib, options, pkgs, ... }:

let
  cfg = config.services.mosaic-fleet;
  fleets = import ./lib.nix { inherit lib pkgs; };
  host = config.networking.hostName;

  at = name: "services.mosaic-fleet.tenants.${name}";

  trees = lib.mapAttrs
    (name: tenant: fleets.render {
      inherit name host;
      inherit (cfg) package;
      inherit (tenant) home;
      fleet = tenant;
    })
    cfg.tenants;

  # All users read one folder of units. What tenants have in common stands there once; two that differ in a
  # unit can't both be served.
  units = pkgs.runCommand "mosaic-fleet-units" { } ''
    mkdir -p "$out/lib/systemd/user"
    take() {
      find "$2/.config/systemd/user" -name '*.wants' -prune -o -type f -printf '%P\n' | LC_ALL=C sort | while read -r file; do
        mine="$2/.config/systemd/user/$file" shared="$out/lib/systemd/user/$file"
        if [ -e "$shared" ] && ! cmp -s "$mine" "$shared"; then
          echo "mosaic-fleet: tenant $1 needs another $file than the tenants before it."
          echo "mosaic-fleet: all users of a machine read the same units. Give both the same tmux section, and agents of"
          echo "mosaic-fleet: one name the same limits and lifecycle, or give the agents different names."
          diff "$shared" "$mine" || :
          exit 1
        fi >&2
        mkdir -p "$(dirname "$shared")"
        cp "$mine" "$shared"
      done
    }
    set -o pipefail
    ${lib.concatStrings (lib.mapAttrsToList (name: tree: ''
      take ${name} ${tree}
    '') trees)}
  '';

  # Agents that one tenant wants at boot and another has and does not: the links are the same for all users.
  torn = lib.filter
    (agent: lib.any
      (tenant: lib.any (other: other.name == agent && !other.enabled) (fleets.agentsOf tenant))
      (lib.attrValues cfg.tenants))
    enabled;

  # Several tenants can have an agent of the same name.
  enabled = lib.unique (lib.concatMap fleets.enabledAgents (lib.attrValues cfg.tenants));

  tenantOptions = { name, ... }: {
    options = fleets.fleetOptions // {
      uid = lib.mkOption {
        type = lib.types.int;
        example = 1001;
        description = "The tenant's uid, 1000 or more: everything of the fleet runs as this user and no other.";
      };

      home = lib.mkOption {
        type = lib.types.path // { description = "absolute path"; };
        default = "/home/${name}";
        defaultText = lib.literalExpression ''"/home/''${name}"'';
        example = "/srv/usc";
        description = "The tenant's home. NixOS makes it, for the tenant alone.";
      };

      linger = lib.mkOption {
        type = lib.types.bool;
        default = true;
        example = false;
        description = ''
          Whether the fleet starts at boot without anybody logging in (`users.users.NAME.linger`). Without it the agents
          run only while the tenant is logged in.
        '';
      };

      limits = lib.mkOption {
        default = { };
        example = { memory_max = "16G"; tasks_max = 4096; cpu_quota = "400%"; };
        description = ''
          Limits of everything that runs as this tenant, as settings of its slice. An agent's own limits stand in the
          roster.
        '';
        type = lib.types.submodule {
          options = {
            memory_max = lib.mkOption {
              type = lib.types.nullOr (lib.types.strMatching "infinity|[0-9]+(\\.[0-9]+)?[KMGTPE]?|(0|[1-9][0-9]*)(\\.[0-9]+)?%");
              default = null;
              example = "16G";
              description = "Memory at which something of the tenant is killed: `512M`, `16G`, `50%`, `infinity`.";
            };
            tasks_max = lib.mkOption {
              type = lib.types.nullOr lib.types.ints.positive;
              default = 4096;
              example = 16384;
              description = "How many processes and threads. With `null`, systemd's own share holds: a third of what the machine has.";
            };
            cpu_quota = lib.mkOption {
              type = lib.types.nullOr (lib.types.strMatching "(0|[1-9][0-9]*)(\\.[0-9]{1,2})?%");
              default = null;
              example = "400%";
              description = "Processor time; one processor is `100%`.";
            };
          };
        };
      };
    };
  };

  agentGuard = ''
    # Every user's manager reads this unit: only that of a tenant who has this agent starts it.
    [Unit]
    ConditionPathExists=/etc/mosaic/fleet/%u/agents/%i.env
  '';

  rosterFile = name: tenant:
    if tenant.roster != null then { text = fleets.rosterText tenant; }
    else { source = "${trees.${name}}/.config/mosaic/fleet/roster.yaml"; };

  # What is the tenant's own, below /etc/mosaic/fleet/NAME. The home gets links to it when the holder starts.
  filesOf = name: tenant:
    let
      file = path: source: lib.nameValuePair "mosaic/fleet/${name}/${path}" source;
      rendered = path: below: file path { source = "${trees.${name}}/.config/mosaic/${below}"; };
    in
    lib.listToAttrs ([
      (file "roster.yaml" (rosterFile name tenant))
      (rendered "tmux.conf" "fleet/tmux.conf")
      (rendered "tools" "tools")
      (rendered "framework" "framework")
    ] ++ lib.optional (fleets.agentsOf tenant != [ ]) (rendered "agents" "fleet/agents")
    ++ lib.optional (tenant.environmentFiles != [ ])
      (file "environment-files" { text = lib.concatMapStrings (path: path + "\n") tenant.environmentFiles; }));
in
{
  options.services.mosaic-fleet = {
    enable = lib.mkEnableOption "fleets of always-on terminal agents, a user each";

    package = fleets.packageOption;

    tenants = lib.mkOption {
      type = lib.types.attrsOf (lib.types.submodule tenantOptions);
      default = { };
      example = lib.literalExpression ''
        {
          usc = { uid = 1001; profile = "usc"; limits.memory_max = "16G"; };
          lab = {
            uid = 1002;
            roster.agents = [ { name = "coder0"; runtime = "claude"; } ];
            environmentFiles = [ "/run/secrets/lab-agents" ];
          };
        }
      '';
      description = "The tenants by name, which is that of their user.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.concatLists
      (lib.mapAttrsToList
        (name: tenant: fleets.assertions (at name) tenant ++ [
          {
            assertion = builtins.match "[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}" name != null;
            message = "${at name}: a tenant's name has 1 to 31 of A-Z a-z 0-9 _ . - and begins with neither . nor -.";
          }
          {
            assertion = tenant.uid >= 1000;
            message = "${at name}.uid: ${toString tenant.uid} is a system user's. Choose one of 1000 or more that no other user has.";
          }
          {
            assertion = tenant.linger -> (options.users ? manageLingering -> config.users.manageLingering);
            message = "${at name}.linger: users.manageLingering is false, so NixOS turns lingering on for nobody, and the fleet would not start at boot. Set users.manageLingering = true, or ${at name}.linger = false.";
          }
        ])
        cfg.tenants) ++ [
      {
        assertion = torn == [ ];
        message = "services.mosaic-fleet: one tenant starts ${lib.concatStringsSep ", " torn} at boot, and another has an agent of that name that is stopped or ephemeral. All users read the same links: give the agents different names.";
      }
      {
        assertion = cfg.tenants == { } || host != "";
        message = "services.mosaic-fleet: networking.hostName is empty. Every record of a fleet carries the machine's name: set it.";
      }
    ];

    warnings = lib.concatLists (lib.mapAttrsToList
      (name: tenant: fleets.warnings (at name) tenant ++ lib.optional (!tenant.linger)
        "${at name}.linger is false: its agents run only while ${name} is logged in, and none is back after a reboot.")
      cfg.tenants);

    users.users = lib.mapAttrs
      (name: tenant: {
        isNormalUser = true;
        inherit (tenant) uid home;
        description = lib.mkDefault "Agents of ${name}";
        # Unset rather than false: where NixOS does not manage lingering, any value is refused.
        linger = lib.mkIf tenant.linger true;
      })
      cfg.tenants;

    environment.systemPackages = [ cfg.package pkgs.tmux ];

    environment.etc = lib.mkMerge (lib.mapAttrsToList filesOf cfg.tenants);

    systemd = lib.mkIf (cfg.tenants != { }) {
      packages = [ units ];

      slices = lib.mapAttrs'
        (_: tenant: lib.nameValuePair "user-${toString tenant.uid}" {
          overrideStrategy = "asDropin";
          sliceConfig = lib.filterAttrs (_: value: value != null) {
            MemoryMax = tenant.limits.memory_max;
            TasksMax = tenant.limits.tasks_max;
            CPUQuota = tenant.limits.cpu_quota;
          };
        })
        (lib.filterAttrs (_: tenant: lib.any (value: value != null) (lib.attrValues tenant.limits)) cfg.tenants);

      # The manager must not look for its units before the home is there.
      units = lib.mapAttrs'
        (_: tenant: lib.nameValuePair "user@${toString tenant.uid}.service" {
          overrideStrategy = "asDropin";
          text = ''
            [Unit]
            RequiresMountsFor=${lib.replaceStrings [ "%" ] [ "%%" ] (toString tenant.home)}
          '';
        })
        cfg.tenants;

      # Drop-ins of the rendered units, as text: as services, NixOS would give them its own PATH.
      user.units = {
        "mosaic-tmux-holder.service" = {
          overrideStrategy = "asDropin";
          wantedBy = [ "default.target" ];
          text = ''
            # Every user's manager reads this unit: only a tenant's own starts it.
            [Unit]
            ConditionPathExists=/etc/mosaic/fleet/%u/roster.yaml

            [Service]
            # The home's links to what this configuration has rendered.
            ExecStartPre=${cfg.package}/bin/fleet session home
          '';
        };
        "mosaic-agent@.service" = {
          overrideStrategy = "asDropin";
          text = agentGuard;
        };
      } // lib.listToAttrs (map
        (agent: lib.nameValuePair "mosaic-agent@${agent}.service" {
          overrideStrategy = "asDropin";
          wantedBy = [ "default.target" "mosaic-tmux-holder.service" ];
          # NixOS names every drop-in alike, so this one hides the template's.
          text = agentGuard;
        })
        enabled);
    };

    # After a switch: links to what is new in a home, none to what is gone.
    system.userActivationScripts.mosaic-fleet.text = ''
      if [ -e "/etc/mosaic/fleet/$(id -un)/roster.yaml" ]; then
        ${cfg.package}/bin/fleet session home || echo "mosaic-fleet: fleet apply tells more" >&2
      fi
    '';
  };
}
