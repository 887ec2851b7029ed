{
  description = "Several machines with fleets of agents, deployed with colmena or deploy-rs";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    mosaic-fleet.url = "path:/srv/mosaic-fleet";
    mosaic-fleet.inputs.nixpkgs.follows = "nixpkgs";
    deploy-rs.url = "github:serokell/deploy-rs";
    deploy-rs.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs = { self, nixpkgs, mosaic-fleet, deploy-rs }:
    let
      system = "x86_64-linux";
      hosts = import ./hosts.nix;

      modules = name: [
        mosaic-fleet.nixosModules.default
        { nixpkgs.overlays = [ mosaic-fleet.overlays.default ]; }
        { networking.hostName = name; }
        hosts.${name}
      ];
    in
    {
      # nixos-rebuild switch --flake .#alpha --target-host root@alpha
      nixosConfigurations = builtins.mapAttrs
        (name: _: nixpkgs.lib.nixosSystem { inherit system; modules = modules name; })
        hosts;

      # colmena apply
      colmena = {
        meta.nixpkgs = import nixpkgs { inherit system; };
      } // builtins.mapAttrs
        (name: _: {
          imports = modules name;
          deployment.targetHost = name;
        })
        hosts;

      # deploy .#alpha
      deploy.nodes = builtins.mapAttrs
        (name: _: {
          hostname = name;
          profiles.system = {
            user = "root";
            sshUser = "root";
            path = deploy-rs.lib.${system}.activate.nixos self.nixosConfigurations.${name};
          };
        })
        hosts;
    };
}
