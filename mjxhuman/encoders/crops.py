"""What top-down networks see and say: pictures of people cut out and normalised, heat maps turned into points. Torch.

Conventions are those of ViTPose (Xu et al. 2022) with unbiased data processing (Huang et al. 2020, "The Devil is in the
Details"): the first and the last pixel of a crop lie on the edges of the enlarged box. Heat maps are read with DARK
(Zhang et al. 2020): a Gaussian blur, and one Newton step on the logarithm from the highest cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Means and deviations of ImageNet's colours, 0..1.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Boxes are enlarged by this factor.
PADDING = 1.25

_BLUR_SIGMA, _BLUR_RADIUS = 0.8, 5
_LOWEST, _HIGHEST = 1e-3, 50.0


def framed(box: Any, aspect: float, padding: float = PADDING) -> Any:
    """Centres and sizes of crops: boxes grown to a shape, then enlarged.

    Args:
      box: ``(N, 4)`` x0, y0, x1, y1 px, NumPy. aspect: width by height. padding: factor.

    Returns:
      ``(N, 4)`` centre x, y and width, height in px.
    """
    box = np.asarray(box, np.float64)
    centre, size = (box[:, :2] + box[:, 2:]) / 2.0, box[:, 2:] - box[:, :2]
    width = np.maximum(size[:, 0], aspect * size[:, 1])
    return np.concatenate([centre, padding * np.stack([width, width / aspect], -1)], -1)


def cut(torch: Any, image: Any, frame: np.ndarray, size: tuple[int, int], mean: Any, std: Any) -> Any:
    """Crops of one picture by bilinear sampling, black outside, normalised.

    Args:
      image: tensor ``(H, W, 3)``, colours 0..255. frame: ``(N, 4)`` of ``framed``. size: width and height of a crop
        in px. mean, std: of the colours 0..1.

    Returns:
      Tensor ``(N, 3, height, width)`` float32 on the picture's device.
    """
    device = image.device
    high, wide = image.shape[:2]
    frame = torch.as_tensor(frame, dtype=torch.float32, device=device)
    steps = [torch.linspace(-0.5, 0.5, n, device=device) for n in size]
    x = frame[:, :1] + frame[:, 2:3] * steps[0]
    y = frame[:, 1:2] + frame[:, 3:4] * steps[1]
    grid = torch.stack(
        [
            (2.0 * x / max(wide - 1, 1) - 1.0)[:, None, :].expand(-1, size[1], -1),
            (2.0 * y / max(high - 1, 1) - 1.0)[:, :, None].expand(-1, -1, size[0]),
        ],
        -1,
    )
    picture = image.permute(2, 0, 1)[None].float().expand(len(frame), -1, -1, -1)
    sampled = torch.nn.functional.grid_sample(picture, grid, padding_mode="zeros", align_corners=True) / 255.0
    mean, std = (torch.as_tensor(v, dtype=torch.float32, device=device).view(1, 3, 1, 1) for v in (mean, std))
    return (sampled - mean) / std


def cut_affine(torch: Any, image: Any, frame: np.ndarray, size: tuple[int, int], mean: Any, std: Any) -> Any:
    """Crops like ``cut``, with the convention of HMR2 (Goel et al. 2023) and others of its family.

    The first pixel lies on an edge of the frame, the last one a pixel's width before the other edge: OpenCV's
    ``warpAffine`` from the frame's corners to the crop's. A frame more than 2.2 times as tall as the crop is cut out of
    a blurred picture.
    """
    pixel = frame[:, 2:] / np.asarray(size)
    inner = np.concatenate([frame[:, :2] - pixel / 2.0, frame[:, 2:] - pixel], -1)
    pieces = []
    for one, excess in zip(inner, pixel[:, 1] / 2.0, strict=True):
        picture = _smoothed(torch, image, (excess - 1.0) / 2.0) if excess > 1.1 else image
        pieces.append(cut(torch, picture, one[None], size, mean, std))
    return torch.cat(pieces)


def _smoothed(torch: Any, image: Any, sigma: float) -> Any:
    """Gaussian blur of a picture ``(H, W, 3)`` to four deviations (px); the edge's pixels go on beyond it."""
    radius = int(4.0 * sigma + 0.5)
    kernel = _gaussian(torch, sigma, radius, image.device)
    planes = image.permute(2, 0, 1)[:, None].float()
    for shape, pad in (((1, 1, 1, -1), (radius, radius, 0, 0)), ((1, 1, -1, 1), (0, 0, radius, radius))):
        planes = torch.nn.functional.pad(planes, pad, mode="replicate")
        planes = torch.nn.functional.conv2d(planes, kernel.view(shape))
    return planes[:, 0].permute(1, 2, 0)


def points_of_heatmaps(torch: Any, heatmaps: Any, frame: np.ndarray) -> tuple[Any, Any]:
    """Points and confidences.

    Args:
      heatmaps: tensor ``(N, K, h, w)``. frame: ``(N, 4)`` of the crops they belong to.

    Returns:
      ``(N, K, 2)`` px of the picture, and ``(N, K)``: the height of the maximum.
    """
    count, points, high, wide = heatmaps.shape
    flat = heatmaps.reshape(count, points, -1).float()
    confidence, index = flat.max(-1)
    column, row = index % wide, torch.div(index, wide, rounding_mode="floor")
    logs = torch.log(_blurred(torch, heatmaps.float()).clamp(_LOWEST, _HIGHEST))
    shift = _newton(torch, logs, column, row)
    place = torch.stack([column, row], -1).float() + shift
    place = torch.where(confidence[..., None] > 0, place, torch.full_like(place, -1.0))
    frame = torch.as_tensor(frame, dtype=torch.float32, device=heatmaps.device)[:, None]
    last = torch.tensor([wide - 1.0, high - 1.0], device=heatmaps.device)
    return frame[..., :2] + frame[..., 2:] * (place / last - 0.5), confidence


def _gaussian(torch: Any, sigma: float, radius: int, device: Any) -> Any:
    offset = torch.arange(-radius, radius + 1, device=device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offset / sigma) ** 2)
    return kernel / kernel.sum()


def _blurred(torch: Any, maps: Any) -> Any:
    """Gaussian blur; the edge cells are repeated in mirror image."""
    kernel = _gaussian(torch, _BLUR_SIGMA, _BLUR_RADIUS, maps.device)
    for axis in (-1, -2):
        length = maps.shape[axis]
        reach = torch.arange(-_BLUR_RADIUS, length + _BLUR_RADIUS, device=maps.device)
        mirrored = torch.where(reach < 0, -1 - reach, reach) % (2 * length)
        mirrored = torch.where(mirrored >= length, 2 * length - 1 - mirrored, mirrored)
        maps = maps.index_select(axis, mirrored).unfold(axis, 2 * _BLUR_RADIUS + 1, 1) @ kernel
    return maps


def _newton(torch: Any, logs: Any, column: Any, row: Any) -> Any:
    """The step ``(N, K, 2)`` from a cell to the top of the parabola through its neighbours."""
    high, wide = logs.shape[-2:]

    def at(dx: int, dy: int) -> Any:
        x, y = (column + dx).clamp(0, wide - 1), (row + dy).clamp(0, high - 1)
        return torch.gather(logs.flatten(-2), -1, (y * wide + x)[..., None])[..., 0]

    here, right, left, below, above = at(0, 0), at(1, 0), at(-1, 0), at(0, 1), at(0, -1)
    dx, dy = 0.5 * (right - left), 0.5 * (below - above)
    eps = float(np.finfo(np.float32).eps)
    dxx, dyy = right - 2.0 * here + left + eps, below - 2.0 * here + above + eps
    dxy = 0.5 * (at(1, 1) - right - below + 2.0 * here - left - above + at(-1, -1))
    determinant = dxx * dyy - dxy * dxy
    return -torch.stack([dyy * dx - dxy * dy, dxx * dy - dxy * dx], -1) / determinant[..., None]
