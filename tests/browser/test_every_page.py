"""What holds for each of the pages for people: their policy, who they ask, and who can use them."""

import re

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Browser
from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

UPLOAD, EVENTS, MEDIA = (
    "/static/media-upload-test.html",
    "/static/websocket-test.html",
    "/admin/mediafiles/media/",
)
every_page = pytest.mark.parametrize("path", [UPLOAD, EVENTS, MEDIA])
TRY_MARKUP = """
  const attempts = {
    'inner HTML': () => { document.body.innerHTML = '<p>'; },
    'written': () => document.write('<p>'),
    'a script of text': () => { document.createElement('script').text = 'window.harm = 1'; },
    'a timer of text': () => setTimeout('window.harm = 1'),
  };
  return Object.keys(attempts).filter((name) => {
    try { attempts[name](); return true; } catch { return false; }
  });
"""
REACH_OUT = """
  const done = arguments[arguments.length - 1];
  const blocked = [];
  document.addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective));
  fetch('https://elsewhere.test/').catch(() => undefined);
  new Image().src = 'https://elsewhere.test/pixel.png';
  try { new WebSocket('wss://elsewhere.test/'); } catch { /* told by the event as well */ }
  const form = document.createElement('form');
  form.action = 'https://elsewhere.test/';
  document.body.append(form);
  const style = document.createElement('div');
  style.setAttribute('style', 'color: red');
  const frame = document.createElement('iframe');
  frame.src = '/docs';
  document.body.append(style, frame);
  form.submit();
  setTimeout(() => (0, eval)('window.harm = 1')); // what the driver itself runs may do that
  setTimeout(() => done([...new Set(blocked)].sort()), 500);
"""
NAMELESS = """
  return [...document.querySelectorAll('input, select, button, a, progress')].filter((each) => {
    if (!each.checkVisibility()) return false;
    const labels = [...(each.labels ?? [])].map((label) => label.innerText).join('');
    return !(each.ariaLabel || each.getAttribute('aria-labelledby') || labels.trim() || each.innerText?.trim());
  }).map((each) => each.outerHTML);
"""
UNMARKED = """
  const has = document.activeElement;
  const shown = has.id === 'files' ? document.querySelector('.drop .button') : has;
  return has === document.body || getComputedStyle(shown).outlineStyle !== 'none' ? '' : has.outerHTML;
"""
CONTRASTS = """
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const over = (front, back) => front.slice(0, 3).map((each, place) => each * front[3] + back[place] * (1 - front[3]));
  const light = (colour) => {
    const [red, green, blue] = colour.map((each) => {
      const part = each / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const [red, green, blue, alpha = 1] = channels(getComputedStyle(each).backgroundColor);
      layers.unshift([red, green, blue, alpha]);
    }
    return layers.reduce((back, layer) => over(layer, back), [255, 255, 255]);
  };
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const off = element.disabled || element.closest('[aria-disabled=true], noscript');
    if (!own || off || !element.checkVisibility()) continue;
    const back = behind(element);
    const [red, green, blue, alpha = 1] = channels(getComputedStyle(element).color);
    const [first, second] = [light(over([red, green, blue, alpha], back)), light(back)].sort((a, b) => b - a);
    const ratio = (first + 0.05) / (second + 0.05);
    if (ratio < 4.5) faint.push(`${element.tagName} ${element.innerText}: ${ratio.toFixed(2)}`);
  }
  return faint;
"""


@pytest.fixture
def filled(browser: Browser, ann: Client, system: System) -> Browser:
    """A tab with an admin's token, and something to show."""
    for name, data in {
        "a.png": encoded(picture(64, 64, seed=76), "PNG"),
        "b.jpg": b"\xff\xd8\xff\xe0cut",
    }.items():
        ann.uploaded(
            data,
            "a name that is quite long, as those of cameras and of people are " + name,
            profile="mediafiles",
        )
    browser.open(UPLOAD, token=system.token(ann.sub, "admin"))
    return browser


@every_page
def test_no_markup_script_or_other_host_gets_past_the_policy(browser: Browser, path: str) -> None:
    browser.open(path)
    assert browser.run(TRY_MARKUP) == []
    blocked = browser.driver.execute_async_script(REACH_OUT)
    assert blocked == [
        "connect-src", "form-action", "frame-src", "img-src", "require-trusted-types-for", "style-src-attr",
    ]  # fmt: skip
    assert browser.run("return window.harm ?? null") is None


@every_page
def test_it_asks_nobody_but_this_server_and_has_no_complaints(filled: Browser, path: str) -> None:
    filled.open(path)
    at_work(filled, path)
    asked = [address for address in filled.addresses() if not address.startswith(("data:", "blob:"))]
    hosts = {re.sub(r"^(\w+://[^/]+).*", r"\1", address) for address in asked}
    assert hosts - {filled.origin, filled.origin.replace("http", "ws", 1)} == set()
    assert filled.console() == []


def at_work(page: Browser, path: str) -> None:
    """What the page shows when it is used."""
    if path == EVENTS:
        page.type("[name=address]", "/v1/live?since=0")
        page.click("#connect")
        page.one("#log li")
    elif path == MEDIA:
        page.one("#rows li")
    else:
        page.run("""
          const transfer = new DataTransfer();
          for (const name of ['words.txt', 'more.txt']) transfer.items.add(new File(['some words'], name));
          document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true}));
        """)
        page.shows("#summary", "2 of 2 files ready.")


@every_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_by_day_and_night_and_on_a_narrow_screen(
    filled: Browser, path: str, scheme: str
) -> None:
    filled.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    filled.command(
        "Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True
    )
    filled.open(path)
    at_work(filled, path)
    assert filled.run("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360]
    assert filled.run(CONTRASTS) == []
    dark = filled.run("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark == (scheme == "dark")


@every_page
def test_everything_that_can_be_used_has_a_name_and_is_reached_by_keys(filled: Browser, path: str) -> None:
    filled.open(path)
    press_tab(filled)
    assert filled.run("return document.activeElement.innerText") == "To the content"
    at_work(filled, path)
    assert filled.run(NAMELESS) == []
    reached, wanted = set(), set(focusable(filled))
    for _ in range(len(wanted) + 20):
        press_tab(filled)
        reached.add(filled.run("return document.activeElement.dataset.place ?? ''"))
        assert filled.run(UNMARKED) == ""
    assert wanted - reached == set()


def press_tab(page: Browser) -> None:
    ActionChains(page.driver).send_keys(Keys.TAB).perform()


def focusable(page: Browser) -> list[str]:
    """Marks of all that should be reached by the tab key; of radio buttons one."""
    found: list[str] = page.run("""
      document.querySelectorAll('#log li:nth-child(n + 3)').forEach((each) => each.remove()); // two are enough
      const usable = 'main :is(input, select, button, a[href], summary, pre)';
      const all = [...document.querySelectorAll(usable)].filter((each) =>
        each.checkVisibility() && !each.disabled && !(each.type === 'radio' && !each.checked));
      return all.map((each, place) => (each.dataset.place = String(place)));
    """)
    return found


def test_the_pages_lead_to_each_other(browser: Browser) -> None:
    browser.open(MEDIA)
    for name, path in (("Upload", UPLOAD), ("Events", EVENTS), ("Media", MEDIA)):
        browser.driver.find_element(By.LINK_TEXT, name).click()
        eventually(lambda: browser.driver.current_url == browser.origin + path, f"{name} to open")  # noqa: B023
        assert browser.texts("nav [aria-current=page]") == [name]
    assert browser.console() == []


def test_an_address_without_its_slash_leads_to_the_list(browser: Browser) -> None:
    browser.open(MEDIA.rstrip("/"))
    assert browser.driver.current_url == browser.origin + MEDIA
    browser.shows("#notice", "Enter the token of an admin.")
