//! placeholder
/// x
pub fn start_one(_uid: u32, _unit: &str) -> Result<(), String> {
    Ok(())
}
