{
  description = "A machine with two fleets of agents";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    # Where you have it from: a path, a git repository.
    mosaic-fleet.url = "path:/srv/mosaic-fleet";
    mosaic-fleet.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs = { nixpkgs, mosaic-fleet, ... }: {
    nixosConfigurations.box = nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [
        mosaic-fleet.nixosModules.default
        { nixpkgs.overlays = [ mosaic-fleet.overlays.default ]; }
        ./configuration.nix
      ];
    };
  };
}
