"""One page that shows what it is given, whatever that holds."""

import jinja2
import pytest

from keras_simsiam.core import html_page

PAGE = '{% extends "page" %}{% block main %}<p title="{{ text }}">{{ text }}</p>{% endblock %}'


def test_what_is_put_into_a_page_is_escaped():
    html = html_page.template(PAGE).render(title="<title> & more", text='<script>"it\'s"</script>')
    assert "<title>&lt;title&gt; &amp; more</title>" in html
    assert html.count("&lt;script&gt;&#34;it&#39;s&#34;&lt;/script&gt;") == 2 and "<script" not in html


def test_a_forgotten_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'text' is undefined"):
        html_page.template(PAGE).render(title="a")


def test_a_picture_is_in_the_page():
    assert html_page.png(b"\x89PNG") == "data:image/png;base64,iVBORw=="
