use proptest::prelude::*;

use super::*;

fn entries(text: &str) -> Vec<(String, String, String, String)> {
    let read = read(text.as_bytes(), None).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"));
    let text = |text: Option<String>| text.unwrap_or_default();
    let entries = read.entries.into_iter();
    entries
        .map(|entry| {
            let tenant = entry.tenant_key.map(|tenant| tenant.to_string());
            (entry.approval_code.to_string(), text(entry.name), text(entry.owner), text(tenant))
        })
        .collect()
}

fn places(text: &str, kind: Option<Kind>) -> Vec<String> {
    let problems = read(text.as_bytes(), kind).expect_err(text);
    problems.iter().map(|problem| format!("{}: {}", problem.place, problem.says)).collect()
}

fn row(code: &str, name: &str, owner: &str, tenant: &str) -> (String, String, String, String) {
    (code.into(), name.into(), owner.into(), tenant.into())
}

#[test]
fn the_same_list_is_read_from_every_way_of_writing_it() {
    let expected = [row("A-1", "Leave; \"long\"", "hr", "t1"), row("A-2", "", "", "t2")];
    for text in [
        "code,name,owner,tenant\nA-1,\"Leave; \"\"long\"\"\",hr,t1\nA-2,,,t2\n",
        "\u{feff}Tenant_Key;OWNER;Approval Name;approval_code\r\nt1;hr;\"Leave; \"\"long\"\"\";A-1\r\n\r\nt2;;;A-2\r\n;;;\r\n",
        "sep=\t\ncode\tname\towner\ttenant\nA-1\t\"Leave; \"\"long\"\"\"\thr\tt1\n# no row\nA-2\t\t\tt2",
        r#"[{"approval_code":"A-1","name":"Leave; \"long\"","owner":"hr","tenant_key":"t1"},{"code":"A-2","tenant":"t2","name":null}]"#,
        "{\"code\":\"A-1\",\"name\":\"Leave; \\\"long\\\"\",\"owner\":\"hr\",\"tenant\":\"t1\"}\n\n{\"code\":\"A-2\",\"tenant\":\"t2\"}\n",
        r#"{"code":0,"msg":"success","data":{"has_more":false,"items":[{"approval_code":"A-1","approval_name":"Leave; \"long\"","owner":"hr","tenant_key":"t1"},{"approval_code":"A-2","tenant_key":"t2"}]}}"#,
    ] {
        assert_eq!(entries(text), expected, "{text}");
    }
    for text in [
        "A-1\nA-2\nA-1\n",
        "code\nA-1\nA-2",
        "\"approval_code\"\n\"A-1\"\nA-2",
        "[\"A-1\", \"A-2\"]",
        "# codes\n\nA-1 # a, b; c\n\tA-2",
    ] {
        assert_eq!(entries(text), [row("A-1", "", "", ""), row("A-2", "", "", "")], "{text}");
    }
    assert_eq!(entries("owner,code\n#hr,A-1\n# A-2,\n"), [row("A-1", "", "#hr", "")]);
    assert_eq!(entries(r#"{"code":"A-1"}"#), [row("A-1", "", "", "")]);
}

#[test]
fn every_problem_is_told_with_its_line_and_column() {
    let table = "# from the script\r\n\r\ncode,name,tenant\r\nA_1,x,a b\r\n\"A-2\",\"two\r\nlines\",t\r\nA-3,x\r\n,x,t\r\nA-1,one,t\r\nA-1,other,t\r\n";
    let told = places(table, None);
    let expected = [
        "4:1: `A_1`",
        "4:3: `a b`",
        "5:2: the quoted cell goes on to line 6, and a row is one line",
        "7: the row has 2 cells",
        "8: there is no approval code",
        "10: A-1 again",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told} {expected}");
    }
    for (text, expected) in [
        ("code,name\nA-1,\"open\nA-2,x\n", "2:2: a quote is never closed on its line"),
        ("code,name\n\"A-1\"x,a\n", "2:1: text stands behind the quote"),
        ("code,name\nA-1,5\" pipe\n", "2:2: a quote stands in a cell that does not begin with one"),
        ("code,\"name\nA-1,x\n", "1:2: a quote is never closed on its line"),
        ("A-1,Leave\nA-2,Sick\n", "1: no column is called `code`"),
        ("code,approval_code\nA,A\n", "1:2: a second column `approval_code`"),
        ("[\n \"A-1\",\n {\"code\": 5},\n 7\n]", "3: `code` is not a string: `5`"),
        ("[\n \"A-1\",,\n]", "2:8: not JSON"),
        ("{\"code\":\"A-1\"}\n{\"code\":\n{\"code\":\"A_2\"}", "2:8: not JSON"),
        ("{\"a\":[],\"b\":[]}", "1: the object has several arrays (`a`, `b`)"),
        ("{\"data\":{}}", "1: the object has neither"),
        (
            "\n{\"format\":\"larksub.state.view\",\"subscriptions\":[{\"approval_code\":\"A\"}]}",
            "2: it is a document of larksub",
        ),
        (
            "{\"seq\":1,\"records\":[{\"op\":\"init\"}],\"crc\":\"0\"}\n{\"seq\":2,\"records\":[]}\n",
            "1: it is a document of larksub",
        ),
        (
            "{\"format\":\"larksub.events\",\"type\":\"planned\"}\n{\"type\":\"x\"}\n",
            "1: it is a document of larksub",
        ),
        (
            "{\"items\":[],\"data\":{\"items\":[]}}",
            "1: the object has several arrays (`items`, `data.items`)",
        ),
        ("Ab-1\nA-2\nAB-1", "3: AB-1 differs from Ab-1 on line 1 only in letter case"),
        ("[{\"code\":\"A\",\"approval_code\":\"B\"}]", "1: `approval_code` is given twice"),
    ] {
        let told = places(text, None);
        assert!(told[0].starts_with(expected), "{text}\n{told:#?}");
    }
    assert_eq!(
        places("{\"code\":\"A-1\"}\n{\"code\":\n{\"code\":\"A_2\"}", None).len(),
        2,
        "the lines after a bad one are read"
    );
    assert_eq!(places("[\n \"A-1\",\n {\"code\": 5},\n 7\n]", None).len(), 2);
    assert!(read(b"code\n\xb0\xa1\nA\n\xff", None).unwrap_err().len() == 2);
    assert!(places("", Some(Kind::Csv))[0].contains("empty"));
    assert!(places("", Some(Kind::Json))[0].starts_with("1:0: not JSON"));
    let long = format!("code,name\nA,{}\n", "x".repeat(201));
    assert!(places(&long, None)[0].starts_with("2:2: the name is too long: 201"));
}

#[test]
fn a_loose_quote_swallows_no_row_and_invents_no_code() {
    let told = places("code,name,owner\nC-1,\"Big form,o\nC-2,b,o\nC-3,5\" pipe,o\nC-4,z,o\n", None);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("2:2: a quote is never closed on its line"), "{told:#?}");
    assert!(told[1].starts_with("4:2: a quote stands in a cell"), "{told:#?}");
    let told = places("code,name\nC-1,\"two\n\nlines\"\nC-2,x\nC_3,y\n", None);
    assert_eq!(told.len(), 2, "the rows after the cell are read: {told:#?}");
    assert!(told[0].starts_with("2:2: the quoted cell goes on to line 4"), "{told:#?}");
    assert!(told[1].starts_with("6:1: `C_3`"), "{told:#?}");
    for right in ["code,name\n\"A-1\" ,\"5\"\" pipe\"\n", "code,name\rA-1,\"5\"\" pipe\"\r"] {
        assert_eq!(entries(right), [row("A-1", "5\" pipe", "", "")], "{right:?}");
    }
    assert_eq!(entries("code,name\n# a \"comment, and\nA-1,\n"), [row("A-1", "", "", "")]);
}

#[test]
fn a_kind_that_is_forced_is_the_one_that_is_read() {
    assert_eq!(places("[\"A\"]", Some(Kind::Lines)).len(), 1);
    assert!(read(b"A-1\n", Some(Kind::Csv)).is_err());
    assert_eq!(read(b"A-1,x\n", Some(Kind::Lines)).unwrap_err().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_csv_writer_writes_is_read_as_it_was(
        rows in prop::collection::vec(("[A-Z0-9-]{1,12}", "\\PC{0,12}|[\",;\t ]{0,6}", "\\PC{0,8}"), 1..20),
        separator in prop::sample::select(vec![b',', b';', b'\t']),
        ends_in_crlf: bool,
    ) {
        let terminator = if ends_in_crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().delimiter(separator).terminator(terminator).from_writer(Vec::new());
        writer.write_record(["owner", "code", "name"]).unwrap();
        // Each code once, so that no two rows contradict each other.
        let rows: Vec<_> = rows.into_iter().enumerate().map(|(n, (code, name, owner))| (format!("{code}-{n}"), name, owner)).collect();
        for (code, name, owner) in &rows {
            writer.write_record([owner, code, name]).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let found = entries(&String::from_utf8(bytes).unwrap());
        let expected: Vec<_> = rows.iter().map(|(code, name, owner)| row(code, name.trim(), owner.trim(), "")).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, kind in prop::sample::select(vec![None, Some(Kind::Lines), Some(Kind::Csv), Some(Kind::Json)])) {
        let _ = read(&bytes, kind);
    }

    #[test]
    fn no_text_of_structure_makes_it_panic(text in "[\\[\\]{}\",;:\t\r\n#A1 ]{0,60}") {
        let _ = read(text.as_bytes(), None);
    }
}
