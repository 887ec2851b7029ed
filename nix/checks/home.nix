# The home-manager module, evaluated: `homeManager` is a tree of home-manager, `nixpkgs` one whose packages may be
# placeholders. `failures` says what is not as it should be.
{ nixpkgs, homeManager, system ? "x86_64-linux" }:

let
  lib = import (nixpkgs + "/lib");
  pkgs = import nixpkgs { inherit system; };

  of = fleet: (import (homeManager + "/modules") {
    inherit pkgs lib;
    check = true;
    configuration = {
      imports = [ ../home-module.nix ];
      home = { username = "usc"; homeDirectory = "/home/usc"; stateVersion = "24.11"; };
      # Their manual and news need packages that are there.
      manual.manpages.enable = false;
      news.display = "silent";
      services.mosaic-fleet = { enable = true; host = "box"; package = pkgs.writeText "no-package" ""; } // fleet;
    };
  }).config;

  good = of { profile = "usc"; environmentFiles = [ "/run/secrets/usc" ]; };
  failedOf = config: map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
  evaluates = value: (builtins.tryEval (builtins.deepSeq value true)).success;

  facts = {
    "the home can be built" = lib.isString good.home-files.drvPath;
    "units, files and scripts come from the rendered tree" = lib.all
      (path: good.home.file ? ${path} && good.home.file.${path}.recursive)
      [ ".config/mosaic/fleet" ".config/mosaic/tools" ".config/mosaic/framework" ".config/systemd/user" ];
    "a switch ends no conversation" = lib.all
      (unit: lib.hasInfix "X-SwitchMethod=keep-old" good.home.file.".config/systemd/user/${unit}.d/home-manager.conf".text)
      [ "mosaic-tmux-holder.service" "mosaic-agent@.service" ];
    "secrets are named and not copied" =
      good.home.file.".config/mosaic/fleet/environment-files".text == "/run/secrets/usc\n";
    "an unknown profile is refused" = !evaluates (of { profile = "uscc"; }).home-files.drvPath;
    "two agents of one name are refused" =
      !evaluates (of { roster.agents = [{ name = "a"; } { name = "a"; }]; }).home-files.drvPath;
  };
in
{
  failures = lib.concatLists (lib.mapAttrsToList (name: holds: lib.optional (!holds) "not so: ${name}") facts);
  passed = lib.length (lib.attrNames facts);
}
