//! What the web server alone costs: an actix-web that reads each body to its end, drops it, and
//! answers as the sidecar does. The yardstick of `make bench-sidecar`.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use actix_web::{App, HttpResponse, HttpServer, web};

async fn drop_body(body: web::Bytes) -> HttpResponse {
    drop(body);
    HttpResponse::Accepted().content_type("application/json").body(r#"{"accepted":1,"rejected":[]}"#)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let app = || App::new().app_data(web::PayloadConfig::new(16 << 20)).route("/v1/events", web::post().to(drop_body));
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0")?;
    for address in server.addrs() {
        println!("http://{address}");
    }
    server.run().await
}
