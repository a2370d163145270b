"""The start page."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from likeness.web.pages import page

router = APIRouter()


@router.get("/")
def home(request: Request) -> HTMLResponse:
    return page(request, "home.html")
