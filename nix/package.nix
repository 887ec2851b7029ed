# The two programs with completions, man pages, and what agents and operators receive; tmux on their PATH.
{ lib, rustPlatform, installShellFiles, makeWrapper, tmux }:

let
  manifest = (lib.importTOML ../Cargo.toml).package;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  inherit (manifest) version;

  # What the programs are made of: a change of a document or a test builds nothing again.
  src = lib.cleanSourceWith {
    name = manifest.name;
    src = ../.;
    filter = path: _:
      let top = lib.head (lib.splitString "/" (lib.removePrefix (toString ../. + "/") (toString path))); in
      lib.elem top [ "Cargo.toml" "Cargo.lock" "src" "benches" "templates" "framework" ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [ installShellFiles makeWrapper ];

  # The tests want tmux, systemd and booted machines; the project's own checks and nix/tests run them.
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
    mkdir -p $out/share/mosaic-fleet
    cp -r framework templates $out/share/mosaic-fleet/
    for program in fleet mosaic; do
      wrapProgram $out/bin/$program --prefix PATH : ${lib.makeBinPath [ tmux ]}
    done
  '';

  meta = {
    inherit (manifest) description;
    homepage = manifest.repository or null;
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "fleet";
  };
}
