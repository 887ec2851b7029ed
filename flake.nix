{
  description = "Durable, isolated, observable fleets of always-on terminal agents on systemd Linux";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: {
        default = pkgs.callPackage ./nix/package.nix { };
      });
      overlays.default = final: _: { mosaic-fleet = final.callPackage ./nix/package.nix { }; };
      devShells = each (pkgs: {
        default = pkgs.mkShell { packages = [ pkgs.cargo pkgs.clippy pkgs.rustfmt pkgs.tmux pkgs.just ]; };
      });
    };
}
