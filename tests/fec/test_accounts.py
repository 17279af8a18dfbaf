"""An account is a host, unless the host serves many."""

from __future__ import annotations

from fec.accounts import account_numbers, accounts


def test_a_host_of_few_photographs_is_an_account_and_one_of_many_is_none() -> None:
    crowd = {f"c{n}": f"http://live.example/{n}.jpg" for n in range(90)}
    own = {f"o{n}": f"http://Somebody.example/{n}.jpg" for n in range(4)}
    assert accounts(crowd | own) == dict.fromkeys(own, "somebody.example")


def test_an_address_without_a_host_names_no_account() -> None:
    assert accounts({"a": "not an address", "b": "http://one.example/1.jpg"}) == {"b": "one.example"}


def test_in_a_row_photographs_have_the_numbers_of_their_accounts() -> None:
    urls = [f"http://live.example/{n}.jpg" for n in range(90)]
    urls += ["http://one.example/1", "not an address", "http://two.example/1", "http://one.example/2"]
    found = account_numbers(urls).tolist()
    named = accounts({str(number): url for number, url in enumerate(urls)})
    assert [number >= 0 for number in found] == [str(number) in named for number in range(len(urls))]
    assert found[-4] == found[-1] != found[-2]
    assert account_numbers([]).tolist() == []
