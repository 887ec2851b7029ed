//! The agents' program. The supervisor's entry is taken before anything else is loaded.

fn main() -> std::process::ExitCode {
    match mosaic_fleet::session::entry() {
        Some(code) => code,
        None => mosaic_fleet::cli::main(mosaic_fleet::cli::Program::Mosaic),
    }
}
