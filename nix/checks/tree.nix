# /etc/systemd/user and /etc/mosaic/fleet as the module makes them of a configuration, for comparison. Takes a
# nixpkgs tree and programs that are built already.
{ nixpkgs, programs, configuration ? ../../tests/nixos/configuration.nix }:

let
  machine = import ./machine.nix { nixpkgs = /. + nixpkgs; };
  inherit (machine) pkgs lib;
  package = pkgs.runCommand "mosaic-fleet" { } ''
    mkdir -p $out/bin
    cp ${/. + programs + "/fleet"} $out/bin/fleet
    cp ${/. + programs + "/mosaic"} $out/bin/mosaic
  '';
  inherit (machine.of [ configuration { services.mosaic-fleet.package = package; } ]) config;
  etc = lib.filterAttrs (path: _: lib.hasPrefix "mosaic/fleet/" path) config.environment.etc;
in
pkgs.runCommand "mosaic-fleet-tree" { } ''
  mkdir -p $out/units
  for path in ${config.environment.etc."systemd/user".source}/mosaic-*; do
    case $path in *.wants) ;; *) cp -rL "$path" $out/units/ ;; esac
  done
  for wants in default.target.wants mosaic-tmux-holder.service.wants; do
    mkdir $out/units/$wants
    cp -P ${config.environment.etc."systemd/user".source}/$wants/mosaic-* $out/units/$wants/
  done
  chmod -R u+w $out/units
  find $out/units -type f -exec sed -i 's|${package}|@package@|g; s|[^ "=]*/bin/tmux|@tmux@|g' {} +
  ${lib.concatStrings (lib.mapAttrsToList (path: file: ''
    mkdir -p "$(dirname "$out/${path}")"
    cp -rL ${file.source} "$out/${path}"
  '') etc)}
  chmod -R u+w $out/mosaic
  find $out/mosaic -type f -exec sed -i 's|${package}|@package@|g' {} +
''
