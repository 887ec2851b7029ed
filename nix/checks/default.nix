# The flake's checks: the package, the module on a machine that is only evaluated, and the tests in virtual machines,
# one file of nix/tests each.
{ pkgs }:

let
  inherit (pkgs) lib;
  package = pkgs.callPackage ../package.nix { };

  evaluated = import ./eval.nix { nixpkgs = pkgs.path; inherit (pkgs.stdenv.hostPlatform) system; };

  tests = lib.mapAttrs'
    (file: _: lib.nameValuePair "vm-${lib.removeSuffix ".nix" file}" (pkgs.testers.runNixOSTest {
      imports = [ (import (../tests + "/${file}")) ];
      defaults = {
        imports = [ ../module.nix ];
        services.mosaic-fleet.package = package;
      };
    }))
    (builtins.readDir ../tests);
in
tests // {
  inherit package;
  evaluation = pkgs.runCommand "mosaic-fleet-evaluation" { } (
    if evaluated.failures == [ ] then "touch $out"
    else throw (lib.concatStringsSep "\n" evaluated.failures)
  );
}
