# /etc/systemd/user and /etc/mosaic/fleet as the module makes them of a configuration, for comparison. Takes a
# nixpkgs tree and programs that are built already.
{ nixpkgs, programs, configuration ? ../../tests/nixos/configuration.nix }:

let
  packages = import (/. + nixpkgs) { system = "x86_64-linux"; };

  # Packages may be placeholders without files. NixOS needs two for its tree of units: one that joins folders, and
  # systemd's own units, which are not what is looked at.
  lndir = packages.runCommand "lndir" { } ''
    mkdir -p $out/bin
    cp ${./lndir} $out/bin/lndir
    chmod +x $out/bin/lndir
  '';
  xorg = (packages.xorg or { }) // { inherit lndir; };
  pkgs = packages // {
    inherit lndir xorg pkgs;
    __splicedPackages = pkgs;
    appendOverlays = _: pkgs;
    buildPackages = packages.buildPackages // { inherit lndir xorg; };
  };
  machine = import ./machine.nix { nixpkgs = /. + nixpkgs; inherit pkgs; };
  inherit (machine) lib;
  systemd =
    let
      units = pkgs.runCommand "systemd-units" { } ''
        mkdir -p $out/example/systemd/user
        for unit in ${toString upstream}; do : > $out/example/systemd/user/$unit; done
      '';
    in
    pkgs.systemd // { outPath = "${units}"; };
  # Every word of NixOS's modules that reads like a unit of systemd's.
  upstream = lib.filter (word: builtins.isString word && builtins.match "[A-Za-z0-9@_.-]+\\.(target|slice|service|socket|timer)" word != null)
    (lib.concatMap (file: builtins.split "\"" (builtins.readFile (/. + nixpkgs + "/nixos/modules/${file}"))) [
      "system/boot/systemd/user.nix"
      "system/boot/systemd/tmpfiles.nix"
      "services/system/dbus.nix"
    ]);
  package = pkgs.runCommand "mosaic-fleet" { } ''
    mkdir -p $out/bin
    cp ${/. + programs + "/fleet"} $out/bin/fleet
    cp ${/. + programs + "/mosaic"} $out/bin/mosaic
  '';
  inherit (machine.of [
    configuration
    { services.mosaic-fleet.package = package; systemd.package = lib.mkForce systemd; }
  ]) config;
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
