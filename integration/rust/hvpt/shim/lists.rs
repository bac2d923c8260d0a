//! Rust's lists of fields, controls, exits and features, from the headers' by way of shim/lists.c. Part of build.rs.

/// A row of a list: its strings.
type Row = Vec<String>;

/// The strings between two quotes each.
fn strings(text: &str) -> Row {
    text.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The rows of one list, in its order.
fn rows(preprocessed: &str, list: &str) -> Vec<Row> {
    let rows: Vec<_> = preprocessed
        .split("HVPT_RS_ROW ")
        .skip(1)
        .filter_map(|row| row.split("HVPT_RS_END").next())
        .filter(|row| row.split_whitespace().next() == Some(list))
        .map(strings)
        .collect();

    assert!(!rows.is_empty(), "the headers' list {} is empty", list);
    rows
}

/// A number as C has it, with whatever is around it.
fn number(text: &str) -> u64 {
    let is_part = |letter: char| letter.is_ascii_alphanumeric();
    let word = text
        .split(|letter: char| !is_part(letter))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        .unwrap_or_else(|| panic!("no number: {}", text));
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let value = match digits.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };

    value.unwrap_or_else(|_| panic!("no number: {}", text))
}

/// The groups of controls, as the enum has them.
fn groups(preprocessed: &str) -> Row {
    let text = preprocessed
        .split("enum hvctl_vmx_group {")
        .nth(1)
        .and_then(|text| text.split('}').next())
        .expect("the groups of VMX controls");

    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter_map(|word| word.strip_prefix("HVCTL_GROUP_"))
        .map(str::to_owned)
        .collect()
}

fn vmx_field_type(width: &str) -> &str {
    match width {
        "16" => "u16",
        "32" => "u32",
        "64" | "NATURAL" => "u64",
        other => panic!("a VMCS field of {} bits", other),
    }
}

fn vmcb_type(of: &str) -> &str {
    match of {
        "uint8_t" => "u8",
        "uint16_t" => "u16",
        "uint32_t" => "u32",
        "uint64_t" => "u64",
        "struct hvctl_vmcb_segment" => "Segment",
        other => panic!("a VMCB member of type {}", other),
    }
}

/// Each list: the file's name, and a call of the macro that the module of that name defines.
pub fn print(preprocessed: &str) -> Vec<(&'static str, String)> {
    // where a line came from
    let is_text = |line: &&str| !line.starts_with('#');
    let preprocessed = &preprocessed
        .lines()
        .filter(is_text)
        .collect::<Vec<_>>()
        .join("\n");
    let list = |name: &str, line: &dyn Fn(&Row) -> String| -> String {
        rows(preprocessed, name).iter().map(line).collect()
    };
    let groups = groups(preprocessed);
    let control = |row: &Row| {
        let group = groups.iter().position(|group| *group == row[0]);
        let first = 64 * group.expect("a group of VMX controls") as u64;
        format!(
            "{}_{} {} {:?};\n",
            row[0],
            row[1],
            first + number(&row[2]),
            row[3]
        )
    };
    let member = |row: &Row, page: u64| {
        let (name, at) = (row[0].to_uppercase(), page + number(&row[1]));
        format!("{} {} {:#05x} {};\n", name, row[0], at, vmcb_type(&row[2]))
    };
    let feature = |row: &Row, first: u64| format!("{} {};\n", row[0], first + number(&row[1]));
    let lists = [
        (
            "vmx_fields",
            "fields",
            list("vmx_fields", &|row| {
                format!("{} {} {};\n", row[0], row[1], vmx_field_type(&row[2]))
            }),
        ),
        ("vmx_controls", "controls", list("vmx_controls", &control)),
        (
            "vmx_reasons",
            "reasons",
            list("vmx_reasons", &|row| {
                format!("{} {} {:?};\n", row[0], number(&row[1]), row[2])
            }),
        ),
        (
            "svm_fields",
            "fields",
            list("svm_fields", &|row| member(row, 0))
                + &list("svm_save_fields", &|row| member(row, 0x400)),
        ),
        (
            "svm_exits",
            "codes",
            list("svm_exits", &|row| {
                format!("{} {:#x};\n", row[0], number(&row[1]))
            }),
        ),
        (
            "svm_features",
            "features",
            list("svm_features", &|row| feature(row, 0))
                + &list("svm_more_features", &|row| feature(row, 32)),
        ),
    ];

    lists
        .into_iter()
        .map(|(file, call, rows)| (file, format!("{}! {{\n{}}}\n", call, rows)))
        .collect()
}
