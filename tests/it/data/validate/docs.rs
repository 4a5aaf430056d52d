//! The examples of docs/validation.md are good files.

use sexton::catalog::{Catalog, Files};

#[test]
fn the_examples_of_the_page_are_files_without_a_problem() {
    let page = include_str!("../../../../docs/validation.md");
    let mut files = Vec::new();
    for block in page.split("```toml\n").skip(1) {
        let text = block.split("```").next().expect("a block");
        let path = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a path in the first line");
        files.push((path.to_owned(), text.to_owned()));
    }
    assert_eq!(files.len(), 2);
    let parsed = Catalog::parse(&files.into_iter().collect::<Files>());
    let errors: Vec<_> = parsed.problems.iter().filter(|problem| problem.is_error()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
