//! Prompts from a web server and from disk: shared, bounded, asked for again, and failing with a reason.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod spoken;
mod world;

use std::sync::Arc;
use std::time::Duration;

use opentact_engine::prompt::PromptLibrary;
use opentact_engine::speech::SayRequest;
use opentact_media::Codec;
use spoken::{end, library};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use world::http::{found, serve};

/// Ten seconds at 8 kHz.
fn wav() -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = opentact_media::wav::Writer::new(std::io::Cursor::new(&mut file), 1, 8000).unwrap();
    writer.write(&[1000; 80_000]).unwrap();
    writer.finish().unwrap();
    file
}

/// Answers each connection by what is sent to `pieces`: a head, then the body as it is given.
async fn accept(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        request.extend_from_slice(&buffer[..length]);
    }
    (stream, String::from_utf8(request).unwrap())
}

#[tokio::test]
async fn what_is_no_audio_is_told_and_not_kept() {
    let (server, requests) = serve(|path, _| match path {
        "/none" => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        _ => found("<html>"),
    })
    .await;
    let folder = TempDir::new().unwrap();
    let library = library(folder.path(), |_| {});
    assert!(library.named(&format!("http://{server}/none")).await.unwrap_err().to_string().contains("404"));
    for _ in 0..2 {
        let clip = library.named(&format!("http://{server}/page")).await.unwrap();
        assert!(end(&clip).await.unwrap_err().ends_with("/page: neither WAV, MP3 nor Ogg"));
    }
    assert!(library.named(&format!("http://{server}/none")).await.is_err());
    assert_eq!(requests.lock().len(), 4);
}

#[tokio::test]
async fn callers_of_one_url_share_one_request_and_hear_it_while_it_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/long.wav", listener.local_addr().unwrap());
    let folder = TempDir::new().unwrap();
    let library = library(folder.path(), |_| {});
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let (library, url) = (library.clone(), url.clone());
            tokio::spawn(async move { library.named(&url).await.unwrap() })
        })
        .collect();
    let (mut stream, _) = accept(&listener).await;
    let wav = wav();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", wav.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&wav[..wav.len() / 2]).await.unwrap();
    let mut clips = Vec::new();
    for caller in callers {
        clips.push(caller.await.unwrap());
    }
    assert!(clips.iter().all(|clip| Arc::ptr_eq(clip, &clips[0])));
    // Half of it is there in every codec before the other half has come.
    let prompts = [Codec::Pcmu, Codec::G722].map(|codec| clips[0].prompt(codec));
    for prompt in &prompts {
        while prompt.ready() < 38_000 {
            tokio::task::yield_now().await;
        }
        assert!(prompt.end().is_none());
    }
    stream.write_all(&wav[wav.len() / 2..]).await.unwrap();
    assert_eq!(end(&clips[0]).await, Ok(()));
    for prompt in &prompts {
        while prompt.end().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(prompt.ready(), 80_000);
    }
}

#[tokio::test]
async fn a_server_that_says_so_is_asked_again_with_what_it_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a.wav", listener.local_addr().unwrap());
    let folder = TempDir::new().unwrap();
    let library = library(folder.path(), |_| {});
    let wav = wav();
    let get = |library: &PromptLibrary| {
        let (library, url) = (library.clone(), url.clone());
        tokio::spawn(async move { library.named(&url).await })
    };
    let first = get(&library);
    let (mut stream, request) = accept(&listener).await;
    assert!(!request.contains("if-none-match") && !request.contains("if-modified-since"));
    let date = "Wed, 21 Oct 2015 07:28:00 GMT";
    let head = format!(
        "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nLast-Modified: {date}\r\nCache-Control: no-cache\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        wav.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&wav).await.unwrap();
    drop(stream);
    let first = first.await.unwrap().unwrap();
    assert_eq!(end(&first).await, Ok(()));
    for answer in ["304 Not Modified", "503 Service Unavailable"] {
        let again = get(&library);
        let (mut stream, request) = accept(&listener).await;
        assert!(request.contains("if-none-match: \"v1\""), "{request}");
        assert!(request.contains(&format!("if-modified-since: {date}")), "{request}");
        let head =
            format!("HTTP/1.1 {answer}\r\nCache-Control: max-age=0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(Arc::ptr_eq(&again.await.unwrap().unwrap(), &first), "{answer}");
    }
}

#[tokio::test]
async fn what_stalls_is_cut_or_too_large_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a.wav", listener.local_addr().unwrap());
    let folder = TempDir::new().unwrap();
    let library = library(folder.path(), |config| {
        config.stall = Duration::from_millis(100);
        config.file = 200_000;
    });
    let wav = wav();
    for (length, closes, reason) in [
        (wav.len(), false, "no answer within 100 ms"),
        (wav.len(), true, "a.wav: "),
        (50_000, true, "the file ends before its sound does"),
    ] {
        let caller = tokio::spawn({
            let (library, url) = (library.clone(), url.clone());
            async move { library.named(&url).await }
        });
        let (mut stream, _) = accept(&listener).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&wav[..50_000]).await.unwrap();
        let held = if closes { None } else { Some(stream) };
        let clip = caller.await.unwrap().unwrap();
        let told = end(&clip).await.unwrap_err();
        assert!(told.contains(reason), "{told}");
        assert!(clip.samples().len() > 20_000);
        drop(held);
    }
    let caller = tokio::spawn(async move { library.named(&url).await });
    let (mut stream, _) = accept(&listener).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 200001\r\n\r\n").await.unwrap();
    assert!(caller.await.unwrap().unwrap_err().to_string().contains("larger than 200000"));
}

#[tokio::test]
async fn files_are_found_below_their_folder_only_and_read_anew_when_they_have_changed() {
    let folder = TempDir::new().unwrap();
    let (inside, outside) = (folder.path().join("prompts"), folder.path().join("secret.wav"));
    std::fs::create_dir_all(inside.join("en")).unwrap();
    std::fs::write(&outside, wav()).unwrap();
    std::fs::write(inside.join("en/hello.wav"), wav()).unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("link.wav")).unwrap();
    let library = library(&inside, |_| {});
    let clip = library.named("en/hello.wav").await.unwrap();
    assert_eq!(end(&clip).await, Ok(()));
    assert!(Arc::ptr_eq(&clip, &library.named("file:///en/hello.wav").await.unwrap()));
    std::fs::write(inside.join("en/hello.wav"), &wav()[..100]).unwrap();
    let changed = library.named("en/hello.wav").await.unwrap();
    assert_eq!(*end(&changed).await.unwrap_err(), *"en/hello.wav: the file ends before its sound does");
    for name in ["link.wav", "../secret.wav", "en", "en/missing.wav", outside.to_str().unwrap()] {
        assert!(library.named(name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn all_prompts_and_speech_together_are_bounded() {
    let folder = TempDir::new().unwrap();
    for name in ["a.wav", "b.wav", "c.wav"] {
        std::fs::write(folder.path().join(name), wav()).unwrap();
    }
    // For two of them and not for three.
    let library = library(folder.path(), |config| config.memory = 400_000);
    let mut played = Vec::new();
    for name in ["a.wav", "b.wav"] {
        played.push(library.named(name).await.unwrap());
        assert_eq!(end(&played[played.len() - 1]).await, Ok(()));
    }
    let refused = library.named("c.wav").await.unwrap();
    assert!(end(&refused).await.unwrap_err().contains("no room"));
    let text = SayRequest::new("One two three four five six seven eight nine ten".repeat(10));
    assert!(library.say(text).await.unwrap_err().to_string().contains("no room"));
    // Who is done makes room.
    played.clear();
    assert_eq!(end(&library.named("c.wav").await.unwrap()).await, Ok(()));
}

#[tokio::test]
async fn of_a_folder_of_music_each_hears_the_next() {
    let folder = TempDir::new().unwrap();
    for name in ["b.wav", "a.wav"] {
        std::fs::write(folder.path().join(name), wav()).unwrap();
    }
    let library = library(folder.path(), |config| config.hold_music = Some(config.folder.clone()));
    let (a, b) = (library.hold_music().await.unwrap(), library.hold_music().await.unwrap());
    assert!(!Arc::ptr_eq(&a, &b));
    assert!(Arc::ptr_eq(&a, &library.hold_music().await.unwrap()));
    assert!(Arc::ptr_eq(&a, &library.named("a.wav").await.unwrap()));
}
