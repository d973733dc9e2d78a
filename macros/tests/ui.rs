//! Every refusal, as the user sees it: on the token that is wrong, with the rewrite that works.

#[test]
fn refusals() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
