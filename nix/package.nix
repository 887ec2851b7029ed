# The two programs with completions and man pages, tmux on their PATH.
{ lib, rustPlatform, installShellFiles, makeWrapper, tmux }:

let
  manifest = (lib.importTOML ../Cargo.toml).package;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  inherit (manifest) version;

  src = lib.cleanSource ../.;
  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [ installShellFiles makeWrapper ];

  # The tests want tmux, systemd and a rig; they run in the project's own checks.
  doCheck = false;

  postInstall = ''
    for shell in bash fish zsh; do
      for program in fleet mosaic; do
        $out/bin/fleet completions $shell --program $program > $program.$shell
      done
    done
    installShellCompletion {fleet,mosaic}.{bash,fish,zsh}
    HOME=$TMPDIR $out/bin/fleet man --out man
    installManPage man/*
    for program in fleet mosaic; do
      wrapProgram $out/bin/$program --prefix PATH : ${lib.makeBinPath [ tmux ]}
    done
  '';

  meta = {
    inherit (manifest) description;
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "fleet";
  };
}
