"""The pages of ``fec browse``, an application of FastAPI. Whatever comes from outside is escaped by the templates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ValidationError

from fec.errors import ConfigurationError
from fec.storage import Storage
from pipelines.browse import pictures
from pipelines.browse.boxes import crop_box, found_box
from pipelines.browse.filters import Filter
from pipelines.browse.guard import guard
from pipelines.browse.index import SHOWN_TRIPLETS, Index
from pipelines.browse.photograph import NEAREST, Lookup
from pipelines.browse.space import COLUMNS, MAX_ZOOM, ROWS, Space, View

# Bytes of a photograph that somebody drops.
MAX_UPLOAD: Final = 32 << 20
_PAGES: Final = Path(__file__).parent / "page"
_TYPES: Final = {1: "one-class", 2: "two-class", 3: "three-class"}
# A crop of an id never changes while a root is looked at.
_KEPT: Final = {"Cache-Control": "private, max-age=3600"}


def application(storage: Storage, index: Index, space: Space | None) -> FastAPI:
    """The application over a root's ``index``, with the map and the neighbours if it has a ``space``."""
    # Its pages about itself would load scripts from elsewhere.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    guard(app)
    app.mount("/static", StaticFiles(directory=_PAGES / "static"))
    show = _shown(storage, index, space)
    _add_search(app, index, show)
    _add_pictures(app, storage, index)
    _add_faces(app, storage, index, space, show)
    if space is not None and len(space):
        _add_space(app, storage, space, show)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> HTMLResponse:
        return HTMLResponse(show("wrong.html", said=error.detail), error.status_code)

    @app.exception_handler(RequestValidationError)
    async def misunderstood(request: Request, error: RequestValidationError) -> HTMLResponse:
        return HTMLResponse(show("wrong.html", said="there is no such place on the map"), 422)

    return app


def _shown(storage: Storage, index: Index, space: Space | None) -> Any:
    environment = Environment(
        loader=FileSystemLoader(_PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = "{:,}".format
    environment.globals |= {"root": storage.root, "index": index, "space": space}
    environment.globals |= {"types": _TYPES, "offered": _offered}

    def show(template: str, **values: Any) -> str:
        return environment.get_template(template).render(values)

    return show


def _offered(values: list[tuple[str, int]]) -> list[tuple[str, str]]:
    """What a form offers of a field: the value, and how many there are of it."""
    return [(name, f"{name} ({count:,})") for name, count in values]


def _wanted(request: Request) -> Filter:
    try:
        return Filter.of(request.query_params)
    except ValidationError as error:
        names = ", ".join(str(one["loc"][0]) for one in error.errors())
        raise HTTPException(422, f"not understood: {names}") from None


def _add_search(app: FastAPI, index: Index, show: Any) -> None:
    @app.get("/", response_class=HTMLResponse)
    def search(request: Request) -> str:
        wanted = _wanted(request)
        return str(show("search.html", wanted=wanted, found=index.search(wanted)))

    @app.get("/results", response_class=HTMLResponse)
    def results(request: Request) -> str:
        wanted = _wanted(request)
        return str(show("results.html", wanted=wanted, found=index.search(wanted)))


def _add_pictures(app: FastAPI, storage: Storage, index: Index) -> None:
    def jpeg(data: bytes | None) -> Response:
        if data is None:
            return Response((_PAGES / "static" / "none.svg").read_bytes(), media_type="image/svg+xml")
        return Response(data, media_type="image/jpeg", headers=_KEPT)

    @app.get("/crop/{split}/{face_id}.jpg")
    def crop(split: str, face_id: str) -> Response:
        place = index.crop_place(split, face_id)
        return jpeg(None if place is None else pictures.crop_of(storage, place))

    @app.get("/photograph/{split}/{face_id}.jpg")
    def photograph(split: str, face_id: str) -> Response:
        return jpeg(pictures.original_of(storage, _face(index, split, face_id)))


def _add_faces(app: FastAPI, storage: Storage, index: Index, space: Space | None, show: Any) -> None:
    @app.get("/face/{split}/{face_id}", response_class=HTMLResponse)
    def face(split: str, face_id: str) -> str:
        found = _face(index, split, face_id)
        row = None if space is None else space.row_of(split, face_id)
        near = [] if space is None or row is None else space.near_face(row, NEAREST)
        triplets = [_with_distances(triplet, space) for triplet in index.triplets_of(found["row"])]
        verified = pictures.verified(storage, found)
        return str(
            show(
                "face.html",
                face=found,
                verified=verified,
                crop_box=None if verified is None else crop_box(verified),
                found_box=None if verified is None else found_box(verified),
                others=index.faces_of_image(split, found["image_id"]),
                triplets=triplets,
                shown_triplets=SHOWN_TRIPLETS,
                nearest=near,
                place=None if space is None or row is None else space.place_of(space.vectors[row]),
            )
        )


def _add_space(app: FastAPI, storage: Storage, space: Space, show: Any) -> None:
    lookup = Lookup(storage, space)

    @app.get("/map", response_class=HTMLResponse)
    def face_map(x: float = 0.5, y: float = 0.5, zoom: float = 1.0) -> str:
        if not (0 <= x <= 1 and 0 <= y <= 1 and 1 <= zoom <= MAX_ZOOM):
            raise HTTPException(422, "there is no such place on the map")
        view = View(x, y, zoom)
        return str(show("map.html", view=view, cells=space.cells(view), columns=COLUMNS, rows=ROWS, max_zoom=MAX_ZOOM))

    @app.get("/photograph", response_class=HTMLResponse)
    def photograph() -> str:
        return str(show("photograph.html"))

    @app.post("/photograph", response_class=HTMLResponse)
    async def look_up(request: Request) -> HTMLResponse:
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > MAX_UPLOAD:
                return HTMLResponse(show("own_faces.html", faces=[], said="the file is larger than 32 MB"), 413)
        try:
            faces = await run_in_threadpool(lookup.faces, bytes(data))
        except ConfigurationError as error:
            return HTMLResponse(show("own_faces.html", faces=[], said=str(error)), 422)
        said = "" if faces else "no face was found in it"
        return HTMLResponse(show("own_faces.html", faces=faces, said=said))


def _face(index: Index, split: str, face_id: str) -> Mapping[str, Any]:
    found = index.face(split, face_id)
    if found is None:
        raise HTTPException(404, "there is no such face")
    return found


def _with_distances(triplet: Mapping[str, Any], space: Space | None) -> dict[str, Any]:
    """A triplet with the distances of its faces a and b, a and c, b and c; None where the run has not all of them."""
    split = triplet["split"]
    rows = [] if space is None else [space.row_of(split, triplet[f"{name}_id"]) for name in "abc"]
    there = [row for row in rows if row is not None]
    distances = space.distances(there) if space is not None and len(there) == 3 else None
    return {**triplet, "distances": distances, "counts": [list(triplet["votes"]).count(face) for face in (1, 2, 3)]}
