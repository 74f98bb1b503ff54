//! Images of users and SIP users.

use http::Method;
use opentact_api::Settings;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Answer, Call, PASSWORD, World, ha1b};

pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand so on";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0and so on";

fn upload<'a>(world: &'a World, path: &str) -> Call<'a> {
    world.call(Method::POST, path)
}

/// As the file of a form.
fn as_form<'a>(call: Call<'a>, image: &[u8]) -> Call<'a> {
    let head = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"me\"\r\n\r\n";
    let form = [head.as_bytes(), image, b"\r\n--x--\r\n"].concat();
    call.body("multipart/form-data; boundary=x", form)
}

/// What a stranger gets at the URL of an answer's `avatar`.
async fn seen(world: &World, owner: &Value) -> Answer {
    let path = owner["avatar"].as_str().unwrap().strip_prefix("https://127.0.0.1:8443").unwrap();
    world.get(path).anonymous().send().await
}

#[tokio::test]
async fn a_user_shows_replaces_and_removes_an_image() {
    let world = World::new().await;
    let me = format!("/rest/user/{}", world.me.user.uuid);
    let path = format!("{me}/avatar");
    let first = as_form(upload(&world, &path), PNG).expect(200).await;
    let image = seen(&world, &first).await;
    assert_eq!((image.status.as_u16(), &image.headers["content-type"]), (200, &"image/png".parse().unwrap()));
    assert_eq!(image.text, String::from_utf8_lossy(PNG));
    assert_eq!(image.headers["x-content-type-options"], "nosniff");

    let second = upload(&world, &path).body("image/jpeg", JPEG).expect(200).await;
    assert!(second["avatar"].as_str().unwrap().ends_with(".jpg"), "{second}");
    assert_eq!(seen(&world, &second).await.headers["content-type"], "image/jpeg");
    assert_eq!(seen(&world, &first).await.status, 404);
    world.patch(&me, json!({"first_name": "Ada"})).expect(200).await;
    assert_eq!(seen(&world, &second).await.status, 200);

    assert_eq!(world.delete(&path).expect(200).await["avatar"], json!(null));
    assert_eq!(seen(&world, &second).await.status, 404);
    let third = upload(&world, &path).body("image/png", PNG).expect(200).await;
    world.patch(&me, json!({"avatar": "https://example.com/me.png"})).expect(200).await;
    assert_eq!(seen(&world, &third).await.status, 404);
    let nobody = format!("/avatar/{}.png", Uuid::new_v4());
    assert_eq!(world.get(&nobody).anonymous().expect(404).await["message"], "Avatar not found");
}

#[tokio::test]
async fn only_admins_change_the_images_of_others() {
    fn by_grace(call: Call<'_>) -> Call<'_> {
        call.basic("grace@example.com", PASSWORD).body("image/png", PNG)
    }
    let world = World::new().await;
    let grace = json!({"email": "grace@example.com", "password": PASSWORD});
    let grace = world.post("/rest/account/user", grace).expect(201).await;
    let hers = format!("/rest/user/{}/avatar", grace["uuid"].as_str().unwrap());
    let mine = format!("/rest/user/{}/avatar", world.me.user.uuid);
    by_grace(upload(&world, &hers)).expect(200).await;
    by_grace(upload(&world, &mine)).expect(401).await;
    by_grace(world.delete(&mine)).expect(401).await;
    upload(&world, &hers).body("image/jpeg", JPEG).expect(200).await;
    world.delete(&hers).expect(200).await;
    upload(&world, &format!("/rest/user/{}/avatar", Uuid::new_v4())).body("image/png", PNG).expect(404).await;
}

#[tokio::test]
async fn an_image_is_png_or_jpeg_and_not_too_large() {
    let world = World::with(Settings { avatar_size: 100, ..Settings::default() }).await;
    let path = format!("/rest/user/{}/avatar", world.me.user.uuid);
    let html = upload(&world, &path).body("image/png", "<html>").expect(422).await;
    assert_eq!(html["fields"]["params.file"]["message"], "must be a PNG or JPEG image");
    upload(&world, &path).body("image/gif", "GIF89a").expect(400).await;
    let large = as_form(upload(&world, &path), &[PNG, &[0; 100]].concat()).expect(413).await;
    assert_eq!(large["message"], "Request body is larger than 100 octets");
    let empty = upload(&world, &path).body("multipart/form-data; boundary=x", "--x--\r\n").expect(422).await;
    assert_eq!(empty["fields"]["params.file"]["message"], "is required");
    assert_eq!(world.get("/rest/user").expect(200).await["avatar"], json!(null));
}

#[tokio::test]
async fn a_sip_user_shows_an_image_until_it_is_gone() {
    let world = World::new().await;
    world.post("/rest/sip/domain", json!({"domain": "home"})).expect(201).await;
    let user = json!({"login": "ada", "password": PASSWORD});
    let user = world.post("/rest/sip/domain/home/user", user).expect(201).await;
    let hash = ha1b("ada", "home", PASSWORD);
    let shown = as_form(upload(&world, "/rest/app/avatar").phone(&hash), PNG).expect(200).await;
    assert_eq!(seen(&world, &shown).await.status, 200);
    upload(&world, "/rest/app/avatar").body("image/png", PNG).expect(401).await;
    world.delete(&format!("/rest/sip/domain/home/user/{}", user["uuid"].as_str().unwrap())).expect(200).await;
    assert_eq!(seen(&world, &shown).await.status, 404);
}
