{
  description = "Durable, isolated, observable fleets of always-on terminal agents on systemd Linux";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      each = f: lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: { default = pkgs.callPackage ./nix/package.nix { }; });

      overlays.default = final: _: { mosaic-fleet = final.callPackage ./nix/package.nix { }; };

      # Sets, not bare paths: Nix 2.8 takes nothing else.
      nixosModules.default = { imports = [ ./nix/module.nix ]; };
      homeModules.default = { imports = [ ./nix/home-module.nix ]; };

      devShells = each (pkgs: {
        default = pkgs.mkShell { packages = with pkgs; [ cargo clippy rustfmt tmux just nixpkgs-fmt ]; };
      });

      checks = each (pkgs: import ./nix/checks { inherit pkgs; });

      formatter = each (pkgs: pkgs.nixpkgs-fmt);

      templates.default = {
        path = ./nix/templates/host;
        description = "A NixOS host with two tenants";
      };
      templates.hosts = {
        path = ./nix/templates/hosts;
        description = "Several hosts with fleets, for colmena and deploy-rs";
      };
    };
}
