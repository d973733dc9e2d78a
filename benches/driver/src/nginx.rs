//! nginx, from the distribution's package: what our reload is held against.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::cpus::Cpus;
use crate::server::{START, Server};

/// How often it is tried whether it listens.
const LOOK: Duration = Duration::from_millis(5);

/// A running nginx. The server is the first field: it ends before its files do.
pub struct Nginx {
    pub server: Server,
    _files: Files,
}

/// A directory of its own, removed when dropped.
struct Files(PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Nginx {
    /// Starts it with as many workers, and no reason to close connections but those that are measured.
    ///
    /// # Errors
    /// It is not installed, or doesn't answer as all servers must.
    pub fn start(workers: usize, cpus: &Cpus) -> Result<Self, Failure> {
        let world = |error| format!("nginx: {error}");
        let directory = std::env::temp_dir().join(format!("vk-bench-nginx-{}", std::process::id()));
        fs::create_dir_all(&directory).map_err(world)?;
        let files = Files(directory);
        // It takes no port 0: one that was just free.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let address = free.map_err(world)?;
        let path = files.0.join("nginx.conf");
        fs::write(&path, configuration(workers, address)).map_err(world)?;
        let mut command = Command::new("nginx");
        command.args(["-e", "/dev/null", "-p"]).arg(&files.0).arg("-c").arg(&path);
        let server = Server::run(command, |_| wait_for(address), cpus)
            .map_err(|why| format!("{why} (is nginx there? apt install nginx)"))?;
        Ok(Self { server, _files: files })
    }
}

fn configuration(workers: usize, address: SocketAddr) -> String {
    format!(
        "daemon off; worker_processes {workers}; error_log /dev/null; pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_timeout 1h; keepalive_requests 1000000000;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {address} reuseport;
        location = /plaintext {{ default_type text/plain; return 200 'Hello, World!'; }}
    }}
}}
"
    )
}

fn wait_for(address: SocketAddr) -> Result<SocketAddr, Failure> {
    let began = Instant::now();
    while let Err(error) = TcpStream::connect(address) {
        if began.elapsed() > START {
            return Err(format!("does not listen: {error}"));
        }
        thread::sleep(LOOK);
    }
    Ok(address)
}
