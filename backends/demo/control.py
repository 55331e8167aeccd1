"""The demo's own HTTP endpoint, where faults are listed and switched. No real platform has one."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.faults import Faults, UnknownFaultError


def control_app(faults: Faults) -> Starlette:
    """``GET /faults``; ``POST /faults/NAME`` with ``{"on": true}`` or ``{"on": false}``."""

    async def listed(_request: Request) -> Response:
        return JSONResponse({"faults": faults.table()})

    async def switched(request: Request) -> Response:
        try:
            body = await request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("on"), bool):
            return JSONResponse({"error": 'expected {"on": true} or {"on": false}'}, 422)
        try:
            await faults.switch(request.path_params["name"], body["on"])
        except UnknownFaultError as error:
            return JSONResponse({"error": str(error)}, 404)
        return JSONResponse({"faults": faults.table()})

    return Starlette(routes=[Route("/faults", listed), Route("/faults/{name}", switched, methods=["POST"])])
