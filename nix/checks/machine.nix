# A NixOS machine that is only evaluated: `of MODULES` is its configuration with our module. `nixpkgs` is a tree of
# it, with real packages or without.
{ nixpkgs, system ? "x86_64-linux", pkgs ? import nixpkgs { inherit system; } }:

let
  lib = import (nixpkgs + "/lib");
in
{
  inherit lib pkgs;
  of = modules: import (nixpkgs + "/nixos/lib/eval-config.nix") {
    system = null;
    inherit lib pkgs;
    modules = modules ++ [
      ../module.nix
      {
        boot.isContainer = lib.mkDefault true;
        documentation.enable = false;
        documentation.nixos.enable = false;
        nix.enable = false;
        system.stateVersion = "24.11";
      }
    ];
  };
}
