"""An account is a host, unless the host serves many."""

from __future__ import annotations

from fec.accounts import accounts


def test_a_host_of_few_photographs_is_an_account_and_one_of_many_is_none() -> None:
    crowd = {f"c{n}": f"http://live.example/{n}.jpg" for n in range(90)}
    own = {f"o{n}": f"http://Somebody.example/{n}.jpg" for n in range(4)}
    assert accounts(crowd | own) == dict.fromkeys(own, "somebody.example")


def test_an_address_without_a_host_names_no_account() -> None:
    assert accounts({"a": "not an address", "b": "http://one.example/1.jpg"}) == {"b": "one.example"}
