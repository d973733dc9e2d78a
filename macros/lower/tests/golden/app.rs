vk::vk_app! {
    name: "echo",
    about: "Echoes lines.",
    listen: "127.0.0.1:7007" => echo,
    listen: "[::1]:7007" => http::serve::<64>,
    stdio: echo,
    check: database::is_there,
    heap: 8192,
    migrate: http::serve::<64> => http::from_v1,
}
