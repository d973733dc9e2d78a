fn main() -> ::std::process::ExitCode {
    static APP: ::vk::App = ::vk::App {
        name: "echo",
        version: ::core::env!("CARGO_PKG_VERSION"),
        about: "Echoes lines.",
        listeners: &[
            ::vk::Listener {
                address: "127.0.0.1:7007",
                handler: ::vk::Handler::of::<echo>(),
            },
            ::vk::Listener {
                address: "[::1]:7007",
                handler: ::vk::Handler::of::<http::serve<64>>(),
            },
        ],
        stdio: ::core::option::Option::Some(::vk::Handler::of::<echo>()),
        args: ::core::option::Option::None,
        check: ::core::option::Option::Some(database::is_there),
        heap: ::core::option::Option::Some(8192),
        max_procs: ::core::option::Option::None,
        opens_files: false,
        migrations: &[::vk::Migration::of::<http::serve<64>>(http::from_v1)],
    };
    ::vk::main(&APP)
}
