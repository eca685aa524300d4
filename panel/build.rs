//! The web pages are embedded from `web/dist`, which `npm run build` in `web/` makes. Without it the
//! binary is built all the same, and says at `/` how to get them.

fn main() {
    println!("cargo:rerun-if-changed=web/dist");
    if let Err(error) = std::fs::create_dir_all("web/dist") {
        println!("cargo:warning=web/dist cannot be made: {error}");
    }
}
