# What is true of the module where it is only evaluated. `failures` says what is not; `nixpkgs` is a tree of it.
{ nixpkgs, system ? "x86_64-linux" }:

let
  machine = import ./machine.nix { inherit nixpkgs system; };
  inherit (machine) lib pkgs;

  # Any derivation serves.
  package = pkgs.writeText "no-package" "";
  of = fleet: machine.of [
    { networking.hostName = lib.mkDefault "box"; services.mosaic-fleet = { enable = true; inherit package; }; }
    fleet
  ];
  tenants = tenants: { services.mosaic-fleet = { inherit tenants; }; };
  agents = agents: tenants { usc = { uid = 1001; roster = { inherit agents; }; }; };

  # A configuration that is wrong, and the words that it must be refused with.
  refused = {
    "no roster at all" = [ (tenants { usc.uid = 1001; }) "tenants.usc: set `profile` (one of dogfood, minimal, usc) or `roster`" ];
    "two rosters" = [ (tenants { usc = { uid = 1001; profile = "usc"; roster = { }; }; }) "tenants.usc: `profile` and `roster` are both set" ];
    "an unknown profile" = [ (tenants { usc = { uid = 1001; profile = "uscc"; }; }) ''tenants.usc.profile: there is no profile "uscc". There are: dogfood, minimal, usc.'' ];
    "a bad agent name" = [ (agents [{ name = "co der"; }]) ''tenants.usc.roster: not an agent's name: "co der"'' ];
    "an agent without a name" = [ (agents [{ runtime = "pi"; }]) "not an agent's name: (none)" ];
    "a duplicate agent" = [ (agents [{ name = "a"; } { name = "b"; } { name = "a"; }]) ''tenants.usc.roster: two agents have the same name: "a"'' ];
    "a system user's uid" = [ (tenants { usc = { uid = 999; profile = "usc"; }; }) "tenants.usc.uid: 999 is a system user's" ];
    "a name that no user has" = [ (tenants { ".usc" = { uid = 1001; profile = "usc"; home = "/home/x"; }; }) "a tenant's name has 1 to 31" ];
    "a secret in the store" = [
      (tenants { usc = { uid = 1001; profile = "usc"; environmentFiles = [ "${builtins.storeDir}/x" ]; }; })
      "tenants.usc.environmentFiles: a file in ${builtins.storeDir} can be read by every user"
    ];
    "a relative environment file" = [ (tenants { usc = { uid = 1001; profile = "usc"; environmentFiles = [ "x" ]; }; }) "each begins with /" ];
    "a transport that carries nothing" = [ (tenants { usc = { uid = 1001; roster.transport = "none"; }; }) "agents run in tmux" ];
    "an agent that one tenant starts at boot and another does not" = [
      (tenants {
        usc = { uid = 1001; profile = "dogfood"; };
        lab = { uid = 1002; roster.agents = [{ name = "coder"; state = "stopped"; }]; };
      })
      "one tenant starts coder at boot, and another has an agent of that name that is stopped or ephemeral"
    ];
    "a machine without a name" = [{ networking.hostName = ""; services.mosaic-fleet.tenants.usc = { uid = 1001; profile = "usc"; }; } "networking.hostName is empty"];
  } // lib.optionalAttrs (good.options.users ? manageLingering) {
    "lingering that nobody manages" = [
      { users.manageLingering = false; services.mosaic-fleet.tenants.usc = { uid = 1001; profile = "usc"; }; }
      "tenants.usc.linger: users.manageLingering is false"
    ];
  };

  failedOf = config: map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
  # A message that is not ours stands beside it where NixOS refuses the same.
  says = words: lib.any (message: lib.hasInfix words message);

  # Words that a configuration must be warned with; none for none.
  warned = {
    "variables that end up in the store" = [ (agents [{ name = "a"; env.TOKEN = "x"; }]) "`env` ends up in ${builtins.storeDir}" ];
    "a fleet that is gone after a reboot" = [ (tenants { usc = { uid = 1001; profile = "usc"; linger = false; }; }) "tenants.usc.linger is false" ];
  };

  good = of (import ../../tests/nixos/configuration.nix);
  inherit (good) config;
  unit = name: config.systemd.user.units.${name};
  etc = path: config.environment.etc."mosaic/fleet/${path}";

  facts = {
    "the machine can be built" = lib.isString config.system.build.toplevel.drvPath;
    "no assertion fails" = failedOf config == [ ];
    "no warning is ours" = !lib.any (lib.hasInfix "mosaic") config.warnings;
    "a tenant is a user who lingers" =
      let user = config.users.users.usc; in user.isNormalUser && user.uid == 1001 && user.home == "/home/usc" && user.linger == true;
    "a tenant without lingering is nobody's linger setting" =
      (of (tenants { usc = { uid = 1001; profile = "usc"; linger = false; }; })).config.users.users.usc.linger != true;
    "limits are the slice's" =
      config.systemd.slices."user-1001".sliceConfig == { MemoryMax = "16G"; TasksMax = 512; CPUQuota = "200%"; };
    "a tenant that names no limit has the usual one" = config.systemd.slices."user-1002".sliceConfig == { TasksMax = 4096; };
    "the manager waits for the home" = lib.hasInfix "RequiresMountsFor=/home/usc\n" config.systemd.units."user@1001.service".text;
    "the holder comes at boot, for tenants alone" =
      (unit "mosaic-tmux-holder.service").wantedBy == [ "default.target" ]
      && lib.hasInfix "ConditionPathExists=/etc/mosaic/fleet/%u/roster.yaml\n" (unit "mosaic-tmux-holder.service").text;
    "each agent comes at boot and with its holder, for tenants who have it" = lib.all
      (agent:
        let it = unit "mosaic-agent@${agent}.service"; in
        it.wantedBy == [ "default.target" "mosaic-tmux-holder.service" ]
        && lib.hasInfix "ConditionPathExists=/etc/mosaic/fleet/%u/agents/%i.env\n" it.text)
      [ "orchestrator" "coder" "reviewer" "solo" ];
    "an agent that is stopped or per task is pulled in by nothing" =
      !(config.systemd.user.units ? "mosaic-agent@off.service") && !(config.systemd.user.units ? "mosaic-agent@task.service");
    "every unit of ours adds to a rendered one" = lib.all
      (name: !lib.hasPrefix "mosaic-" name || (unit name).overrideStrategy == "asDropin")
      (lib.attrNames config.systemd.user.units);
    "a roster stands in the tenant's folder" = (builtins.fromJSON (etc "lab/roster.yaml").text).version == 1;
    "secrets are named and not copied" = (etc "lab/environment-files").text == "/var/lib/lab/secrets\n";
    "without tenants there is nothing" = (of { }).config.systemd.packages == (machine.of [ ]).config.systemd.packages;
    "every option is described" = lib.all (option: option.description or "" != "") options;
    "every option has an example" = lib.all (option: option ? example || option.name == "services.mosaic-fleet.enable") options;
  };

  options = lib.filter (option: option.visible && !option.internal) (lib.optionAttrSetToDocList good.options.services.mosaic-fleet);

  # The tests in virtual machines evaluate, too.
  tests = lib.mapAttrs
    (file: _:
      let test = import (../tests + "/${file}") { inherit lib; }; in
      lib.isString (machine.of [ test.nodes.machine { services.mosaic-fleet = { inherit package; }; } ]).config.system.build.toplevel.drvPath
      && lib.isString test.testScript)
    (builtins.readDir ../tests);

  # And the templates, for each machine with what is its own left out.
  templates = lib.mapAttrs (_: module: lib.isString (machine.of [ module { services.mosaic-fleet = { inherit package; }; networking.hostName = lib.mkDefault "box"; } ]).config.system.build.toplevel.drvPath)
    ({ host = ../templates/host/configuration.nix; } // import ../templates/hosts/hosts.nix);

  failed = what: attrs: lib.concatLists (lib.mapAttrsToList (name: holds: lib.optional (!holds) "${what}: ${name}") attrs);
in
{
  failures = failed "not so" facts
    ++ failed "not refused with its words"
    (lib.mapAttrs (_: case: says (lib.elemAt case 1) (failedOf (of (lib.head case)).config)) refused)
    ++ failed "not warned with its words"
    (lib.mapAttrs (_: case: says (lib.elemAt case 1) (of (lib.head case)).config.warnings) warned)
    ++ failed "does not evaluate" (tests // templates);
  passed = lib.length (lib.attrNames (facts // refused // warned // tests // templates));
  inherit options;
}
