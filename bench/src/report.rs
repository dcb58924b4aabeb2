//! Tables for the documentation, and the place in a file where they belong.

use std::path::Path;

/// A goal and what came of it.
pub(crate) struct Line {
    pub(crate) goal: &'static str,
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) floor: String,
    pub(crate) result: String,
    pub(crate) wanted: String,
    /// None when there is no goal.
    pub(crate) met: Option<bool>,
}

pub(crate) fn table(lines: &[Line]) -> String {
    let mut text =
        "| goal | what | measured | beside it | result | wanted | met |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for line in lines {
        let Line { goal, what, measured, floor, result, wanted, met } = line;
        let met = met.map_or("", |met| if met { "yes" } else { "**no**" });
        text.push_str(&format!("| {goal} | {what} | {measured} | {floor} | {result} | {wanted} | {met} |\n"));
    }
    text
}

/// The middle one; the lower of the two middle ones when their number is even.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// `0.92 (0.90–0.95)`.
pub(crate) fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    match values.len() {
        1 => format!("{:.2}", median(values)),
        _ => format!("{:.2} ({least:.2}–{most:.2})", median(values)),
    }
}

/// A number with as many digits as mean something.
pub(crate) fn rounded(value: f64) -> String {
    match value {
        value if value >= 1000.0 => {
            let whole = (value / 10.0).round() as u64 * 10;
            format!("{},{:03}", whole / 1000, whole % 1000)
        }
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// The machine, without its name.
pub(crate) fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = crate::floors::cores();
    format!("{cores} cores ({model}), client, server and database on the same ones; {}", std::env::consts::OS)
}

/// Replaces what stands between `<!-- name -->` and `<!-- /name -->`.
pub(crate) fn write(file: &Path, name: &str, text: &str) {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let old = std::fs::read_to_string(file).unwrap();
    let (before, rest) =
        old.split_once(&begin).unwrap_or_else(|| panic!("{} has no {begin}", file.display()));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{} has no {end}", file.display()));
    std::fs::write(file, format!("{before}{begin}\n{}\n{end}{after}", text.trim_end())).unwrap();
    println!("written: {}", file.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_exactly_as_they_are_known() {
        assert_eq!(rounded(41_237.0), "41,240");
        assert_eq!(rounded(1_004.0), "1,000");
        assert_eq!(rounded(92.25), "92.2");
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(spread(&[0.5]), "0.50");
    }
}
