//! The core: one binary, one role per process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let role = std::env::args().nth(1);
    let code = match role.as_deref() {
        Some("--role=logger") => upright::logger::run(),
        Some(_) | None => {
            eprintln!("upright-core: started without a role: want --role=logger");
            64
        }
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
