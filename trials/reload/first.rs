//! The build that is served first.

/// What is said of a request.
const TEXT: &str = "first";

mod handler;
