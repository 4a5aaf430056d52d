//! Tells cargo that the migrations are part of the binary: the macro that embeds them cannot.

fn main() {
    println!("cargo::rerun-if-changed=sql/migrations");
}
