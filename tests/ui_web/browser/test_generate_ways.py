"""Ways through the Generate page that lead to finished pictures, and what other pages hand over."""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

from ..conftest import LiveServer
from .generate_page import LONG, PATIENCE, OpenPage, ask_for, drop_file, show


def draw(page: Page, prompt: str, **fields: Any) -> None:
    """Ask for pictures and wait until they are there."""
    ask_for(page, prompt, **fields)
    wait_until_done(page)


def wait_until_done(page: Page) -> None:
    expect(page.locator(".queue-done .queue-item.done")).not_to_have_count(0, timeout=PATIENCE)
    expect(page.locator(".queue-now .queue-item")).to_have_count(0, timeout=PATIENCE)


def jobs_of(server: LiveServer) -> list[Any]:
    """The newest first, without work in the background."""
    return server.studio.jobs.list(lane="device")


def photo(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(content, "PNG")
    return content.getvalue()


def test_a_stroke_on_a_small_picture_is_painted_anew_and_all_around_it_is_kept(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    draw(page, "a red apple", steps=4, seed=7)
    page.click("[data-action=paint]")
    canvas = page.locator("sf-canvas .canvas-ready")
    place = canvas.bounding_box()
    assert place is not None
    y = place["y"] + place["height"] / 2
    page.mouse.move(place["x"] + place["width"] / 2 - 60, y)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 2 + 60, y, steps=6)
    page.mouse.up()
    page.fill("#form-img2img-denoising_strength", "1")
    ask_for(page, "a blue fish")
    expect(page.locator(".queue-done .queue-item.done")).to_have_count(2, timeout=PATIENCE)
    expect(page.locator(".stage-open img")).to_be_visible()
    newest, first = jobs_of(studio_server)
    before, after = (Image.open(job.images[0].path).convert("RGB") for job in (first, newest))
    changed = [
        abs(a - b) for x, y in ((32, 32), (4, 4), (60, 60)) for a, b in zip(
            before.getpixel((x, y)), after.getpixel((x, y)), strict=True
        )
    ]  # fmt: skip
    assert max(changed[:3]) > 8
    assert max(changed[3:]) <= 2
    page.locator("[name=view][value=mask]").check()
    expect(canvas).to_be_visible()
    page.locator("[name=view][value=picture]").check()
    page.click("[data-action=again]")  # the canvas has the start picture again
    expect(page.locator('[data-path="img2img.image"] .picture-shown')).to_be_visible()


def test_hires_and_outpainting_come_to_larger_pictures(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    page.check("#form-hires-on")
    page.fill("#form-hires-scale", "1.5")
    draw(page, "a red apple", steps=3)
    assert (jobs_of(studio_server)[0].images[0].width, jobs_of(studio_server)[0].images[0].height) == (96, 96)
    page.uncheck("#form-hires-on")
    page.click("[data-action=start]")
    page.check("[name=mode][value=outpaint]", force=True)
    page.fill("#form-outpaint-right", "32")
    page.fill("#form-width", "")
    page.fill("#form-height", "")
    page.click(".generate-button")
    expect(page.locator(".queue-done .queue-item.done")).to_have_count(2, timeout=PATIENCE)
    assert (jobs_of(studio_server)[0].images[0].width, jobs_of(studio_server)[0].images[0].height) == (
        128,
        96,
    )


def test_a_dropped_photo_is_drawn_at_a_size_that_the_model_can_draw(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    name = "<img src=x onerror=document.title='caught'>.png"
    drop_file(page, name, photo(1600, 800), "image/png")
    page.click("text=Start from it")
    expect(page.locator('[data-path="img2img.image"] .picture-shown')).to_be_visible()
    expect(page.locator("#form-width")).to_have_value("96")
    expect(page.locator("#form-height")).to_have_value("48")
    draw(page, "a red apple", steps=3)
    assert (jobs_of(studio_server)[0].images[0].width, jobs_of(studio_server)[0].images[0].height) == (96, 48)
    assert "caught" not in page.title()


def test_lines_of_a_text_file_are_queued_with_the_settings_of_the_form(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    page.fill("#form-steps", "2")
    drop_file(page, "zoo.txt", "# animals\na cat\n\n<b>a dog</b>\n")
    expect(page.locator(".batch-summary")).to_contain_text("2 images")
    page.click("dialog .button.primary")
    expect(page.locator(".queue-done .queue-item.done")).to_have_count(2, timeout=PATIENCE)
    assert [(job.request["prompt"], job.request["steps"]) for job in jobs_of(studio_server)] == [
        ("<b>a dog</b>", 2),
        ("a cat", 2),
    ]


def test_a_file_of_more_lines_than_one_call_takes_is_queued_whole(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    jobs = studio_server.studio.jobs
    jobs.submit("generate", {"prompt": "first", "steps": LONG, "count": 50})
    drop_file(page, "zoo.txt", "".join(f"cat {n}\n" for n in range(1002)))
    expect(page.locator(".batch-summary")).to_contain_text("1,002 images", timeout=PATIENCE)
    page.click("dialog .button.primary")
    expect(page.locator("dialog[open]")).to_have_count(0, timeout=PATIENCE)
    assert {job.label for job in jobs.waiting(lane="device")} >= {f"cat {n}" for n in range(1002)}


def test_two_clicks_and_a_held_key_ask_once(open_page: OpenPage, studio_server: LiveServer) -> None:
    page = open_page()
    page.fill("#form-prompt", "a red apple")
    page.dblclick(".generate-button")
    expect(page.locator(".queue-done .queue-item.done")).to_have_count(1, timeout=PATIENCE)
    page.focus("#form-prompt")
    page.keyboard.down("Control")
    for _ in range(3):
        page.keyboard.down("Enter")  # repeats while it is held
    page.keyboard.up("Enter")
    page.keyboard.up("Control")
    expect(page.locator(".queue-done .queue-item.done")).to_have_count(2, timeout=PATIENCE)
    assert len(jobs_of(studio_server)) == 2


def test_no_answer_to_a_job_that_was_queued_does_not_queue_it_twice(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    page.fill("#form-prompt", "a red apple")

    def lose(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/v1/jobs", lose, times=1)
    page.click(".generate-button")
    expect(page.locator(".toast.danger")).to_contain_text("does not answer")
    page.click(".generate-button")
    wait_until_done(page)
    assert len(jobs_of(studio_server)) == 1


def test_what_other_pages_hand_over_is_taken_once(open_page: OpenPage, studio_server: LiveServer) -> None:
    page = open_page()
    draw(page, "a red apple", steps=3, seed=7)
    picture = jobs_of(studio_server)[0].images[0]

    def receive(incoming: dict[str, Any]) -> None:
        page.evaluate(
            "([incoming]) => localStorage.setItem('sfumato:local:generate.incoming', incoming)",
            [json.dumps(incoming)],
        )
        show(page, studio_server)

    receive({"insert": "<lora:a:1>"})
    expect(page.locator("#form-prompt")).to_have_value("a red apple <lora:a:1>")
    receive({"request": {"model": "emoji"}})
    expect(page.locator("#form-model")).to_have_value("Sfumato Emoji")
    expect(page.locator("#form-prompt")).to_have_value("a red apple <lora:a:1>")
    receive({"request": {"prompt": "a cat", "steps": 5}})
    expect(page.locator("#form-prompt")).to_have_value("a cat")
    expect(page.locator("#form-seed")).to_have_value("-1")
    page.click(".toast >> text=Undo")
    expect(page.locator("#form-prompt")).to_have_value("a red apple <lora:a:1>")
    page.wait_for_timeout(300)  # the form is kept a moment later
    identity = page.evaluate(
        "fetch('/api/v1/jobs').then(answer => answer.json()).then(all => all.items[0].images[0].id)"
    )
    sent = {"path": f"picture:{identity}", "width": picture.width, "height": picture.height}
    receive({"mode": "inpaint", "picture": sent, "request": {"prompt": "a fish"}})
    expect(page.locator("sf-canvas .canvas-ready")).to_be_visible()
    expect(page.locator("#form-steps")).to_have_value("3")
    expect(page.locator("#form-prompt")).to_have_value("a fish")
    page.wait_for_timeout(300)
    show(page, studio_server)
    assert page.evaluate("localStorage.getItem('sfumato:local:generate.incoming')") is None


def test_a_picture_is_taken_along_to_the_page_that_enlarges(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, "a red apple", steps=2)
    page.click("[data-action=enlarge]")
    chosen = page.locator("#upscale-sources img")
    expect(chosen).to_have_count(1, timeout=PATIENCE)
    page.wait_for_function("() => document.querySelector('#upscale-sources img').naturalWidth > 0")


def test_favourites_are_marked_and_deleted_pictures_stay_away_after_a_reload(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    draw(page, "a red apple", steps=2, batch_size=3)
    page.locator(".strip-item").nth(0).click()
    page.click("[data-action=trash]")
    expect(page.locator(".strip-item")).to_have_count(2)
    page.click("[data-action=favourite]")
    expect(page.locator("[data-action=favourite]")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(page.locator(".strip-item")).to_have_count(2)
    page.locator(".strip-item").nth(0).click()
    expect(page.locator("[data-action=favourite]")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("[...document.images].every(image => !image.complete || image.naturalWidth)")


def test_a_thousand_waiting_jobs_are_counted_and_cancelled_at_once(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    from sfumato.jobs.queue import Submission

    jobs = studio_server.studio.jobs
    jobs.submit("generate", {"prompt": "first", "steps": LONG, "count": 50})
    jobs.submit_all([Submission("generate", {"prompt": f"number {n}"}) for n in range(1000)])
    page = open_page()
    expect(page.locator(".queue-item.running")).to_contain_text("first", timeout=PATIENCE)
    expect(page.locator(".queue-count")).to_have_text("1000")
    assert page.locator("[data-waiting]").count() <= 60
    page.click("[data-action=cancel-rest]")
    page.click("dialog .button.danger")
    expect(page.locator("[data-waiting]")).to_have_count(0, timeout=PATIENCE)
    assert jobs.count_waiting(lane="device") == 0
    expect(page.locator(".queue-item.running")).to_contain_text("first")


def test_a_waiting_job_is_moved_by_mouse_while_others_change(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    jobs = studio_server.studio.jobs
    jobs.submit("generate", {"prompt": "first", "steps": LONG, "count": 50})
    waiting = [jobs.submit("generate", {"prompt": prompt}) for prompt in ("second", "third", "fourth")]
    page = open_page()
    expect(page.locator(".queue-item.running")).to_be_visible(timeout=PATIENCE)
    grips = page.locator(".queue-grip")
    last, top = grips.nth(2).bounding_box(), grips.nth(0).bounding_box()
    assert last is not None
    assert top is not None
    page.mouse.move(last["x"] + 4, last["y"] + 8)
    page.mouse.down()
    page.mouse.move(top["x"] + 4, top["y"] + 12, steps=4)
    jobs.submit("generate", {"prompt": "fifth"})
    page.wait_for_timeout(500)  # the news of it comes
    page.mouse.move(top["x"] + 4, top["y"] - 2)
    page.mouse.up()
    expect(page.locator("[data-waiting] .queue-name")).to_have_text(["fourth", "second", "third", "fifth"])
    assert jobs.waiting(lane="device")[0].id == waiting[2].id


def test_colours_of_a_prompt_stand_behind_their_words_whatever_letters_are_before(
    open_page: OpenPage,
) -> None:
    page = open_page()
    prompt = "🦊🦊 <script>document.title='caught'</script> (é👩‍🚀:1.2) [a|b]"
    page.fill("#form-prompt", prompt)
    layer = page.locator('[data-path="prompt"] .prompt-layer')
    expect(layer.locator(".syntax-alternation").first).to_be_visible()
    assert (layer.text_content() or "").rstrip("\u200b") == prompt
    assert "".join(layer.locator(".syntax-emphasis").all_text_contents()) == "(:1.2)"
    assert "caught" not in page.title()
