//! Writes `docs/problems.md`: every problem code, what it means and what to do.

use contracts::problem::ProblemCode;

fn main() {
    println!(
        "<!-- Generated from services/shared/contracts/src/problem.rs by `make generate`. Do not edit. -->\n"
    );
    println!("# Problems\n");
    println!(
        "Errors are problem documents (RFC 9457). `code` is stable; the gateway serves this page at `/api/docs/problems`."
    );
    for code in ProblemCode::ALL {
        println!("\n## {code}\n\n**{} {}.** {}", code.status(), code.title(), code.explanation());
    }
}
