//! Help texts, errors and everything that needs no network, as files in `tests/cmd`.

#[test]
fn say_what_the_files_say() {
    trycmd::TestCases::new()
        .env("WAYPOST_HOME", "home")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("TZ", "UTC")
        .case("tests/cmd/*.md");
}
