# One user's fleet under home-manager. Everything is rendered by fleet when the home is built, as on NixOS, and stands
# in the home as links into the store.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.mosaic-fleet;
  fleets = import ./lib.nix { inherit lib pkgs; };

  tree = fleets.render {
    name = cfg.tenant;
    inherit (cfg) package host;
    home = config.home.homeDirectory;
    fleet = cfg;
  };

  # Whole folders would leave no room for the operator's own files beside ours.
  part = path: {
    ${path} = { source = "${tree}/${path}"; recursive = true; };
  };

  # home-manager restarts what it sees changed when it switches. The holder's restart ends every pane and an agent's
  # a conversation: `fleet apply` does the second where its own files changed, and people the first.
  keepOld = unit: {
    ".config/systemd/user/${unit}.d/home-manager.conf".text = ''
      [Unit]
      X-SwitchMethod=keep-old
      X-RestartIfChanged=false
    '';
  };
in
{
  options.services.mosaic-fleet = fleets.fleetOptions // {
    enable = lib.mkEnableOption "a fleet of always-on terminal agents of this user's";

    package = fleets.packageOption;

    tenant = lib.mkOption {
      type = lib.types.str;
      default = config.home.username;
      defaultText = lib.literalExpression "config.home.username";
      example = "usc";
      description = "The tenant's name in records and messages: the user's.";
    };

    host = lib.mkOption {
      type = lib.types.str;
      example = "box";
      description = ''
        The name of the machine that this home is for, as `hostname` says it. It stands in every record of the fleet, and
        home-manager does not know it.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = fleets.assertions "services.mosaic-fleet" cfg;
    warnings = fleets.warnings "services.mosaic-fleet" cfg;

    home.packages = [ cfg.package pkgs.tmux ];

    home.file = lib.mkMerge [
      (part ".config/mosaic/fleet")
      (part ".config/mosaic/tools")
      (part ".config/mosaic/framework")
      # The units with the links that pull them in: as fleet writes them, so that systemd is asked for nothing.
      (part ".config/systemd/user")
      (keepOld "mosaic-tmux-holder.service")
      (keepOld "mosaic-agent@.service")
      (lib.mkIf (cfg.environmentFiles != [ ]) {
        ".config/mosaic/fleet/environment-files".text = lib.concatMapStrings (path: path + "\n") cfg.environmentFiles;
      })
    ];
  };
}
