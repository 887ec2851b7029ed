# What the NixOS module and the home-manager module share: rosters, what of them has to be known while
# Nix evaluates, and the tree that fleet itself renders from them when the system is built.
{ lib, pkgs }:

let
  examples = ../framework/fleet/examples;

  # usc-software-factory.yaml is the profile usc.
  profiles = lib.mapAttrs'
    (file: _: lib.nameValuePair
      (lib.head (lib.splitString "-" (lib.removeSuffix ".yaml" file)))
      file)
    (builtins.readDir examples);

  # Nix reads no YAML. Our own profiles keep each name on a line of its own; what is made of them when the
  # system is built is compared with this list.
  namesIn = file:
    let name = builtins.match "  - name: ([A-Za-z0-9_-]+).*"; in
    lib.concatMap (line: let found = name line; in lib.optionals (found != null) found)
      (lib.splitString "\n" (builtins.readFile (examples + "/${file}")));
in
rec {
  inherit profiles;

  profileNames = lib.attrNames profiles;

  # What JSON can say; a roster is written down as such, which YAML is a superset of.
  json = with lib.types;
    let
      value = nullOr (oneOf [ bool int float str (attrsOf value) (listOf value) ]) // {
        description = "JSON value";
      };
    in
    value;

  # The agents that a fleet's options name, as far as they say.
  agentsOf = fleet:
    if fleet.roster != null then
      map
        (agent: {
          name = agent.name or null;
          enabled = (agent.lifecycle or fleet.roster.defaults.lifecycle or "core") == "core"
            && (agent.state or "running") == "running";
        })
        (let agents = fleet.roster.agents or [ ]; in if agents == null then [ ] else agents)
    else if fleet.profile != null && profiles ? ${fleet.profile} then
      map (name: { inherit name; enabled = true; }) (namesIn profiles.${fleet.profile})
    else [ ];

  isAgentName = name: builtins.isString name && builtins.match "[A-Za-z0-9_][A-Za-z0-9_-]{0,62}" name != null;

  # Agents that are started at boot.
  enabledAgents = fleet: map (agent: agent.name) (lib.filter (agent: agent.enabled) (agentsOf fleet));

  # The roster as its text, where it stands in the configuration.
  rosterText = fleet: builtins.toJSON ({ version = 1; } // fleet.roster) + "\n";

  # The whole tree of a home, rendered by fleet itself when the system is built: what `fleet apply` would write.
  render = { name, package, fleet, home, host }:
    pkgs.runCommand "mosaic-fleet-${name}"
      {
        nativeBuildInputs = [ pkgs.tmux ];
        MOSAIC_HOST = host;
        roster = lib.optionalString (fleet.roster != null) (rosterText fleet);
        passAsFile = [ "roster" ];
        expected = toString (lib.sort lib.lessThan (map (agent: "mosaic-agent@${agent}.service") (enabledAgents fleet)));
      }
      ''
        export HOME="$TMPDIR"
        ${if fleet.roster != null then ''
          cp "$rosterPath" roster.yaml
          ${package}/bin/fleet render --roster roster.yaml \
        '' else ''
          ${package}/bin/fleet render --profile ${lib.escapeShellArg (toString fleet.profile)} \
        ''}  --out "$out" --home ${lib.escapeShellArg home} --tenant ${lib.escapeShellArg name}
        # Nix had to know them before fleet has read the roster.
        wants="$out/.config/systemd/user/default.target.wants"
        found=$(cd "$wants" && for unit in *; do case $unit in mosaic-agent@*) echo "$unit" ;; esac; done | LC_ALL=C sort)
        if [ "$(echo $found)" != "$(echo $expected)" ]; then
          echo "mosaic-fleet: fleet starts these agents of ${name} at boot: $(echo $found)"
          echo "mosaic-fleet: and its Nix modules think it is these: $(echo $expected)"
          echo "mosaic-fleet: package and modules are of different versions: take both from one flake input"
          exit 1
        fi >&2
      '';

  # Assertions about one fleet's roster; `at` is where its options stand.
  assertions = at: fleet:
    let
      agents = agentsOf fleet;
      names = map (agent: agent.name) agents;
      bad = lib.filter (name: !isAgentName name) names;
      twice = lib.unique (lib.filter (name: lib.count (other: other == name) names > 1) names);
      shown = name: if name == null then "(none)" else ''"${toString name}"'';
      list = lib.concatMapStringsSep ", " shown;
    in
    [
      {
        assertion = (fleet.profile == null) != (fleet.roster == null);
        message =
          if fleet.profile == null
          then "${at}: set `profile` (one of ${lib.concatStringsSep ", " profileNames}) or `roster`: a fleet needs one of them."
          else "${at}: `profile` and `roster` are both set: a fleet has one roster. Remove one of them.";
      }
      {
        assertion = fleet.profile == null || profiles ? ${fleet.profile};
        message = ''${at}.profile: there is no profile "${toString fleet.profile}". There are: ${lib.concatStringsSep ", " profileNames}.'';
      }
      {
        assertion = bad == [ ];
        message = "${at}.roster: not an agent's name: ${list bad}. A name has 1 to 63 of A-Z a-z 0-9 _ - and does not begin with -.";
      }
      {
        assertion = twice == [ ];
        message = "${at}.roster: two agents have the same name: ${list twice}. Each needs a name of its own.";
      }
      {
        assertion = fleet.roster == null || (fleet.roster.transport or "tmux") == "tmux";
        message = "${at}.roster.transport: agents run in tmux: leave the key out, or write \"tmux\".";
      }
      {
        assertion = lib.all (file: !lib.hasPrefix builtins.storeDir (lib.removePrefix "-" file)) fleet.environmentFiles;
        message = "${at}.environmentFiles: a file in ${builtins.storeDir} can be read by every user. Name one outside of it, such as /run/secrets/NAME, as a string.";
      }
      {
        assertion = lib.all (file: lib.hasPrefix "/" (lib.removePrefix "-" file)) fleet.environmentFiles;
        message = "${at}.environmentFiles: each begins with / (or with -/ where the file may be missing).";
      }
    ];

  # Variables in a roster end up in the store.
  warnings = at: fleet:
    let
      hasEnv = part: builtins.isAttrs part && !builtins.elem (part.env or null) [ null { } ];
      roster = if fleet.roster == null then { } else fleet.roster;
      parts = [ (roster.defaults or null) ] ++ lib.attrValues (roster.runtimes or { }) ++ (roster.agents or [ ]);
    in
    lib.optional (lib.any hasEnv parts)
      "${at}.roster: `env` ends up in ${builtins.storeDir}, which every user of the machine can read. Put what is secret into a file of `environmentFiles`, or into AGENT.local.env in the tenant's home.";

  # The options that both modules have of a fleet.
  fleetOptions = {
    profile = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "usc";
      description = ''
        The shipped roster that this fleet has: ${lib.concatMapStringsSep ", " (name: "`${name}`") profileNames}.
        Either this or `roster` is set.
      '';
    };

    roster = lib.mkOption {
      type = lib.types.nullOr (lib.types.attrsOf json);
      default = null;
      example = lib.literalExpression ''
        {
          defaults.working_directory = "~/src";
          agents = [
            { name = "coder0"; runtime = "claude"; class = "implementer"; }
            { name = "rev0"; class = "reviewer"; limits.memory_max = "4G"; }
          ];
        }
      '';
      description = ''
        The roster itself, with the keys of a `roster.yaml` (`version` is 1 where it is left out). fleet checks it
        when the system is built, with the same messages as elsewhere. One that is kept as JSON is read with
        `lib.importJSON ./roster.json`. Either this or `profile` is set.
      '';
    };

    environmentFiles = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "/run/secrets/usc-agents" ];
      description = ''
        Files of variables that every agent of this fleet gets, for what is secret: paths outside the Nix store that
        the tenant can read when an agent starts, one `NAME=value` a line. They are read after the roster's variables
        and before an agent's own `AGENT.local.env`. An agent does not start while one of them is missing, but for
        those with a `-` in front.
      '';
    };
  };

  packageOption = lib.mkOption {
    type = lib.types.package;
    default = pkgs.mosaic-fleet or (pkgs.callPackage ./package.nix { });
    defaultText = lib.literalExpression "pkgs.mosaic-fleet, from the flake's overlay, else the same built here";
    example = lib.literalExpression "inputs.mosaic-fleet.packages.\${pkgs.system}.default";
    description = "The package that has `fleet` and `mosaic`. It also renders the fleets when the system is built.";
  };
}
