vk::vk_app! {
    stdio: echo,
}

fn main() {}
