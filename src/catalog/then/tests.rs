//! Claims about `then`: what it means where it is short, and what is told of one that cannot be.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    catalog::{Catalog, Files, Problem},
    spec::{FORMAT, NEWEST, Spec},
};

const WAIT: &str = "[sql]\ntarget = \"t\"\nsql = \"select 1\"\n";

/// Jobs `a` to `e`, and a schedule of `a` whose `then` is this.
fn files(then: &str, extra: &[(&str, &str)]) -> Files {
    let schedule = format!("[[at]]\nname = \"s\"\ncron = \"0 3 * * *\"\njob = \"a\"\n{then}\n");
    let jobs = ["a", "b", "c", "d", "e"].map(|name| (format!("jobs/{name}.toml"), WAIT.to_owned()));
    let mut all: BTreeMap<String, String> = jobs.into_iter().collect();
    all.insert("schedules/s.toml".to_owned(), schedule);
    all.extend(extra.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    Files(all)
}

fn told(files: &Files) -> Vec<String> {
    let problems = Catalog::parse(files).problems.into_iter().filter(Problem::is_error);
    problems.map(|problem| format!("{}: {}", problem.message, problem.help.unwrap_or_default())).collect()
}

/// The links of a run of the schedule: `JOB ON AFTER,…`.
fn chain(files: &Files) -> (u32, Vec<String>) {
    let catalog = Catalog::parse(files).catalog.unwrap_or_else(|| panic!("{:?}", told(files)));
    shape(&catalog.spec_for(catalog.schedule("s").expect("the schedule")).expect("a spec"))
}

fn shape(spec: &Spec) -> (u32, Vec<String>) {
    let link = |spec: &Spec| {
        let follows = spec.follows.as_ref().expect("a link");
        format!("{} {} {}", spec.job, follows.on.word(), follows.after.join(","))
    };
    (spec.format, spec.then.iter().map(link).collect())
}

#[test]
fn a_name_comes_once_the_entry_before_is_done() {
    let (format, links) = chain(&files("then = [\"b\", \"c\"]", &[]));
    // What an older binary would do with it is right, too.
    assert_eq!((format, links), (FORMAT, vec!["b success a".to_owned(), "c success b".to_owned()]));
    assert_eq!(chain(&files("", &[])), (FORMAT, vec![]));
}

#[test]
fn an_entry_may_say_what_it_comes_after_and_how_that_must_have_ended() {
    let then = r#"then = ["b", { job = "d", after = ["b", "c"], on = "always" }, { job = "c", after = ["a"] }, { job = "e", on = "failure" }]"#;
    let (format, links) = chain(&files(then, &[]));
    assert_eq!(links, ["b success a", "d always b,c", "c success a", "e failure c"]);
    assert_eq!(format, NEWEST, "an older binary must leave it alone");
}

#[test]
fn everything_that_cannot_be_is_told_with_what_to_do() {
    let then = r#"then = [
        "b", "bb", "a", "b", 7, { after = ["b"] },
        { job = "c", after = ["d"], onn = "always" }, { job = "d", after = ["c"] },
        { job = "e", after = ["e", "x", "b", "b"], on = "sucess" },
    ]"#;
    assert_eq!(
        told(&files(then, &[])),
        [
            "there is no job `bb`: make jobs/bb.toml",
            "`a` would follow itself: take it out of `then`",
            "`b` comes twice in this chain: a link is known by its job: make a second file for it, under another name",
            "must be the name of a job, or a table: write then = [\"JOB\", { job = \"JOB\", after = [\"JOB\"], on = \"failure\" }]",
            "an entry of `then` needs `job`: write then = [\"JOB\", { job = \"JOB\", after = [\"JOB\"], on = \"failure\" }]",
            "`c` waits for `d`, which waits for `c`: none of them would ever start: take one of them out of the `after` of another",
            "`onn` is not a key of an entry of `then`: did you mean `on`?",
            "`e` would wait for itself: take it out of its own `after`",
            "`x` is not in this chain: there are: a, b, bb, c, d",
            "`b` is named twice: once is enough",
            "`sucess` is not one of the words that it can be: did you mean `success`?",
        ]
    );
    assert_eq!(told(&files("then = \"b\"", &[])).len(), 1);
    assert_eq!(
        told(&files("then = [{ job = \"b\", after = [] }]", &[])),
        ["`after` names nothing: leave it out for the entry before, or name jobs of the chain"]
    );
    assert_eq!(
        told(&files("then = [{ job = \"b\", after = \"a\" }]", &[])),
        ["`after` must be a list of jobs: write after = [\"JOB\"]"]
    );
}

#[test]
fn a_job_says_what_comes_after_it_unless_its_schedule_does() {
    let own = format!("then = [\"b\", \"c\"]\n{WAIT}");
    let of_job = [("jobs/a.toml", own.as_str())];
    assert_eq!(chain(&files("", &of_job)).1, ["b success a", "c success b"]);
    assert_eq!(chain(&files("then = [\"d\"]", &of_job)).1, ["d success a"]);
    assert_eq!(chain(&files("then = []", &of_job)).1, Vec::<String>::new());

    let catalog = Catalog::parse(&files("then = []", &of_job)).catalog.expect("good files");
    assert_eq!(shape(&catalog.resolve("a", &BTreeMap::new()).expect("a spec")).1, ["b success a", "c success b"]);
    // What a link's own file says comes after it is for when that one is asked for itself.
    assert_eq!(shape(&catalog.resolve("b", &BTreeMap::new()).expect("a spec")).1, Vec::<String>::new());
}

#[test]
fn a_trigger_hands_its_values_on_to_what_comes_after() {
    let asks = |more: &str| {
        format!("{more}[params]\nn = {{ type = \"integer\", max = 9 }}\n[sql]\ntarget = \"t\"\nsql = \"select :n\"\n")
    };
    let (first, link) = (asks("then = [\"b\"]\n"), asks("").replace("max = 9", "max = 5"));
    let both = files("then = []\nparams = { n = 1 }", &[("jobs/a.toml", &first), ("jobs/b.toml", &link)]);
    let catalog = Catalog::parse(&both).catalog.unwrap_or_else(|| panic!("{:?}", told(&both)));
    let with = |n: i64| catalog.resolve("a", &BTreeMap::from([("n".to_owned(), json!(n))]));
    assert_eq!(with(4).expect("a spec").then[0].params["n"], 4);
    let refused = with(7).expect_err("b takes 5 at most");
    assert!(refused[0].to_string().contains("handed on to `b`"), "{refused:?}");

    let lacks = files("then = []", &[("jobs/a.toml", &format!("then = [\"b\"]\n{WAIT}")), ("jobs/b.toml", &link)]);
    let told = told(&lacks);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("`b` needs the parameter `n`, and `a` does not ask for it"), "{told:?}");
}
