# The options of the NixOS module as a part of docs/usage/nixos.md, made from their declarations.
{ nixpkgs, system ? "x86_64-linux" }:

let
  lib = import (nixpkgs + "/lib");
  inherit (import ./eval.nix { inherit nixpkgs system; }) options;

  short = name: lib.removePrefix "services.mosaic-fleet." name;

  # Values are either literal expressions or values that Nix prints.
  shown = value: lib.removeSuffix "\n" (if value ? text then value.text else builtins.toJSON value);
  # A text of one line stands in the line, a longer one in a block of its own.
  given = what: value:
    if lib.hasInfix "\n" (shown value) then "${what}:\n\n```nix\n${shown value}\n```\n\n" else "${what}: `${shown value}`\n\n";

  one = option:
    "#### `${short option.name}`\n\n"
    + lib.removeSuffix "\n" option.description + "\n\n"
    + "Type: ${lib.replaceStrings [ "\n" ] [ " " ] option.type}\n\n"
    + lib.optionalString (option ? default) (given "Default" option.default)
    + lib.optionalString (option ? example) (given "Example" option.example);

  # `enable` and `package` first, then the tenants.
  sorted = lib.sort (a: b: a.name < b.name) (lib.filter (option: !lib.hasInfix "_module" option.name) options);
in
lib.concatMapStrings one sorted
