//! The command line: `upright`, also called as `initctl`, `start`, `stop`, `status` ...

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(upright::cli::main())
}
