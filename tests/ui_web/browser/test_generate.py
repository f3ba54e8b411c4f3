"""The Generate page in Chromium, with the embedded model: the ways people go most."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from ..conftest import LiveServer
from .generate_page import LONG, PATIENCE, OpenPage, ask_for, drop_file, show


def test_a_first_picture_is_drawn_shown_and_can_be_drawn_again(open_page: OpenPage) -> None:
    page = open_page()
    ask_for(page, "a red apple", steps=3, seed=7)
    picture = page.locator(".stage-open img")
    expect(picture).to_be_visible(timeout=PATIENCE)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    expect(page.locator(".stage-caption")).to_contain_text("seed 7")
    page.click("[data-action=reset]")
    assert page.input_value("#form-prompt") == ""
    page.click("[data-action=again]")
    expect(page.locator("#form-prompt")).to_have_value("a red apple")
    expect(page.locator("#form-steps")).to_have_value("3")


def test_a_running_job_and_the_form_are_there_again_after_a_reload_and_in_a_second_tab(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    ask_for(page, "a green tree", steps=LONG)
    expect(page.locator(".stage-live img").first).to_have_attribute(
        "src", re.compile("^blob:"), timeout=PATIENCE
    )
    page.reload()
    page.wait_for_selector("#generate[data-ready]")
    assert page.input_value("#form-prompt") == "a green tree"
    assert page.input_value("#form-steps") == str(LONG)
    second = page.context.new_page()
    show(second, studio_server)
    for tab in (page, second):
        expect(tab.locator(".stage-progress")).to_be_visible(timeout=PATIENCE)
        expect(tab.locator(".queue-item.running")).to_contain_text("a green tree")
    second.click("[data-job-action=cancel]")
    expect(page.locator(".queue-item.cancelled")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".stage-progress")).to_be_hidden()


def test_interrupting_keeps_the_picture_as_far_as_it_is(open_page: OpenPage) -> None:
    page = open_page()
    ask_for(page, "a blue fish", steps=LONG)
    page.wait_for_selector(".stage-live img[src]")
    page.click("[data-job-action=interrupt]")
    expect(page.locator(".stage-open img")).to_be_visible(timeout=PATIENCE)


def test_waiting_jobs_are_reordered_by_keyboard_and_the_rest_is_cancelled(open_page: OpenPage) -> None:
    page = open_page()
    ask_for(page, "first", steps=LONG, count=50)
    expect(page.locator(".queue-item.running")).to_be_visible(timeout=PATIENCE)
    for index, prompt in enumerate(["second", "third", "fourth"]):
        ask_for(page, prompt)
        expect(page.locator("[data-waiting]")).to_have_count(index + 1)
    page.locator(".queue-grip").nth(2).focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator("[data-waiting] .queue-name")).to_have_text(["second", "fourth", "third"])
    page.click("[data-action=cancel-rest]")
    page.click("dialog .button.danger")
    expect(page.locator("[data-waiting]")).to_have_count(0)
    expect(page.locator(".queue-item.running")).to_contain_text("first")


def test_a_prompt_file_is_summed_up_and_queued_once(open_page: OpenPage, studio_server: LiveServer) -> None:
    page = open_page()
    prompts = {"defaults": {"steps": 2}, "prompts": ["a cat", {"prompt": "a dog", "count": 3}]}
    drop_file(page, "zoo.json", json.dumps(prompts))
    expect(page.locator(".batch-summary")).to_contain_text("4 images")
    page.dblclick("dialog .button.primary")
    expect(page.locator("dialog[open]")).to_have_count(0)
    jobs = [job for job in studio_server.studio.jobs.list() if job.kind == "generate"]
    assert sorted(job.request["prompt"] for job in jobs) == ["a cat", "a dog"]
    assert {job.request["steps"] for job in jobs} == {2}


def test_a_prompt_file_with_a_mistake_says_where_and_is_not_queued(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    drop_file(page, "zoo.json", json.dumps([{"prompt": "a cat"}, {"prompt": "a dog", "steps": 99999}]))
    expect(page.locator(".batch-list li").nth(1)).to_contain_text("steps")
    expect(page.locator("dialog .button.primary")).to_be_disabled()
    assert [job for job in studio_server.studio.jobs.list() if job.kind == "generate"] == []


def test_a_picture_is_made_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("p")
    page.keyboard.type("a red apple")
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+ArrowUp")
    expect(page.locator("#form-prompt")).to_have_value("(a red apple:1.1)")
    page.keyboard.press("Control+ArrowDown")
    expect(page.locator("#form-prompt")).to_have_value("a red apple")
    page.focus("#form-sampler")
    page.keyboard.press("ArrowDown")
    page.keyboard.type("heun")
    expect(page.locator("#form-sampler-list [aria-selected=true]")).to_contain_text("Heun")
    page.keyboard.press("Enter")
    expect(page.locator("#form-sampler")).to_have_value("Heun")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".stage-open img")).to_be_visible(timeout=PATIENCE)


def test_values_out_of_bounds_are_told_in_words_and_nothing_is_queued(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    ask_for(page, "a red apple", steps=5000)
    expect(page.locator("#form-steps-problem")).to_have_text("At most 1000.")
    expect(page.locator("#form-steps")).to_be_focused()
    assert [job for job in studio_server.studio.jobs.list() if job.kind == "generate"] == []


def test_a_switched_section_and_options_of_the_sampler_reach_the_request(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    page.check("#advanced")
    page.check("#form-hires-on")
    page.fill("#form-hires-scale", "1.5")
    page.fill("#form-sampler", "Euler a")
    page.keyboard.press("Enter")
    page.fill("#form-sampler_options-eta", "0.5")
    ask_for(page, "a red apple", steps=2)
    expect(page.locator(".queue-now .queue-item, .queue-done .queue-item")).to_have_count(1)
    asked = studio_server.studio.jobs.list()[0].request
    assert asked["hires"]["scale"] == 1.5
    assert asked["sampler"] == "euler_ancestral"
    assert asked["sampler_options"] == {"eta": 0.5}


def test_a_grid_is_asked_for_with_what_the_form_says_as_its_base(
    open_page: OpenPage, studio_server: LiveServer
) -> None:
    page = open_page()
    page.select_option("#script-choice", "axes")
    page.fill("#grid-x-field", "steps")
    page.keyboard.press("Tab")
    page.fill("#grid-x-values", "2\n3")
    ask_for(page, "a red apple", seed=5)
    expect(page.locator(".stage-strip li").nth(1)).to_be_visible(timeout=PATIENCE)
    job = next(job for job in studio_server.studio.jobs.list() if job.kind == "grid")
    assert job.request["x"]["values"] == ["2", "3"]
    assert (job.request["base"]["prompt"], job.request["base"]["seed"]) == ("a red apple", 5)


def test_a_deleted_picture_comes_back_by_undo_and_a_failed_job_says_why(open_page: OpenPage) -> None:
    page = open_page()
    ask_for(page, "a red apple", steps=2, batch_size=2)
    strip = page.locator(".stage-strip li")
    expect(strip).to_have_count(2, timeout=PATIENCE)
    page.click("[data-action=trash]")
    expect(strip).to_have_count(0)
    page.click(".toast >> text=Undo")
    expect(strip).to_have_count(2)
    ask_for(page, "a <lora:no_such:1> cat")
    expect(page.locator(".stage-problem")).to_contain_text("no_such", timeout=PATIENCE)


def test_an_infotext_fills_the_form(open_page: OpenPage) -> None:
    page = open_page()
    page.click("[data-action=read-settings]")
    text = (
        "a red apple\nNegative prompt: blur\nSteps: 9, Sampler: Heun, CFG scale: 4.5, Seed: 11, Size: 64x64"
    )
    page.fill("#infotext", text)
    page.click("dialog .button.primary")
    expect(page.locator("#form-prompt")).to_have_value("a red apple")
    expect(page.locator("#form-negative_prompt")).to_have_value("blur")
    expect(page.locator("#form-steps")).to_have_value("9")
    expect(page.locator("#form-seed")).to_have_value("11")
    expect(page.locator("#form-cfg_scale")).to_have_value("4.5")


def test_on_a_phone_nothing_is_wider_than_the_window_and_the_button_is_in_reach(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    button = page.locator(".generate-button").bounding_box()
    assert button is not None
    assert button["y"] + button["height"] <= 844
    assert button["height"] >= 44
    page.fill("#form-prompt", "a red apple")
    page.tap(".generate-button")
    expect(page.locator(".stage-open img")).to_be_visible(timeout=PATIENCE)


def test_nothing_on_the_page_breaks_the_rules_of_accessibility(open_page: OpenPage) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(reduced_motion="reduce")
    page.check("#advanced")
    page.check("[value=outpaint]")
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of two words
        page.evaluate("Promise.all(document.getAnimations().map(one => one.finished)).then(() => true)")
        broken = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in broken] == []


def test_the_first_load_is_small(open_page: OpenPage) -> None:
    page = open_page()
    sizes = page.evaluate("performance.getEntries().map(entry => entry.transferSize ?? 0)")
    assert sum(sizes) < 200_000
