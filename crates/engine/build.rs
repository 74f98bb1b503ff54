//! Links flite (BSD-like licence) statically: the engine and its two US English voices.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

/// Voices before the language before the engine: each needs what follows.
const LIBRARIES: [&str; 5] = ["flite_cmu_us_slt", "flite_cmu_us_rms", "flite_usenglish", "flite_cmulex", "flite"];

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=FLITE_LIB_DIR");
    let Some(folder) = folders().into_iter().find(|folder| folder.join("libflite.a").is_file()) else {
        eprintln!(
            "flite's static libraries were not found. Install Debian's flite1-dev, or say where libflite.a is \
             in FLITE_LIB_DIR."
        );
        return ExitCode::FAILURE;
    };
    println!("cargo:rustc-link-search=native={}", folder.display());
    for library in LIBRARIES {
        println!("cargo:rustc-link-lib=static:-bundle={library}");
    }
    println!("cargo:rustc-link-lib=m");
    ExitCode::SUCCESS
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("FLITE_LIB_DIR").map(PathBuf::from).into_iter().collect();
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    folders.push(format!("/usr/lib/{architecture}-linux-gnu").into());
    folders.extend(["/usr/local/lib", "/usr/lib64", "/usr/lib"].map(PathBuf::from));
    folders
}
