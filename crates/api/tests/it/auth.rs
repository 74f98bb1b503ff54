use crate::world::{PASSWORD, World, shown};

#[tokio::test]
async fn basic_gives_the_user_with_a_jwt() {
    let world = World::new().await;
    let user = world.get("/rest/auth").basic("me@example.com", PASSWORD).expect(200).await;
    let token = user["token"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(shown(&user));
    let again = world.get("/rest/auth").anonymous().header("x-auth-token", &token).expect(200).await;
    assert_eq!(again["uuid"], user["uuid"]);
    assert!(again.get("token").is_none());
    world.get(&format!("/rest/auth?jwt={token}")).anonymous().expect(200).await;
    world.get(&format!("/rest/auth?bearer={token}")).anonymous().expect(200).await;
    world.get("/rest/auth").header("authorization", &format!("Bearer {token}")).expect(200).await;
}
