//! Temporary; replaced at merge.
use crate::text::Text;
use alloc::string::String;
use alloc::vec::Vec;
/// x
pub fn expand(template: &Text, env: &[Text]) -> Result<Text, String> {
    let bytes = template.bytes();
    let mut out: Vec<u8> = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'$' {
            let start = i + 1;
            let mut end = start;
            while end < bytes.len() && (bytes[end].is_ascii_alphanumeric() || bytes[end] == b'_') {
                end += 1;
            }
            let name = &bytes[start..end];
            let value = env.iter().find_map(|row| {
                let b = row.bytes();
                let at = b.iter().position(|c| *c == b'=')?;
                (&b[..at] == name).then(|| b[at + 1..].to_vec())
            });
            match value {
                Some(v) => out.extend(v),
                None => {
                    return Err(alloc::format!(
                        "Unknown parameter: {}",
                        String::from_utf8_lossy(name)
                    ))
                }
            }
            i = end;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    Ok(Text::from(out))
}
