"""Any folder as a dataset: classes, split, images, event bags, and each way to be wrong."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_event_bags import write_bag

from topspark_ros.streams.datasets import DATASET_NAMES, load_dataset
from topspark_ros.streams.errors import DatasetError

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
RECORDINGS = Path(os.environ.get('TOPSPARK_DATA') or SHARED) / 'events'


def write_images(folder, values, side=28):
    """One image a value; the value is in its top left pixel, a bright square in the middle."""
    folder.mkdir(parents=True)
    for value in values:
        image = np.zeros((side, side), np.uint8)
        image[side // 3 : side // 2, side // 3 : side // 2] = 200
        image[0, 0] = value
        assert cv2.imwrite(str(folder / f'{value:03}.png'), image)


def evt3_payload(first_window, windows, per_window=20):
    """Events in the given 50 ms windows; the column tells the window."""
    words = []
    for index in range(first_window, first_window + windows):
        for event in range(per_window):
            microseconds = index * 50_000 + event
            words += [
                0x8000 | microseconds >> 12,
                0x6000 | microseconds & 0xFFF,
                200,
                0x2800 | 100 + index,
            ]
    return np.array(words, np.uint16).tobytes()


def rejection(*arguments):
    with pytest.raises(DatasetError) as error:
        load_dataset(*arguments)
    assert '\n' not in str(error.value)
    return str(error.value)


def parts(folder):
    return [load_dataset(str(folder), split) for split in ('train', 'test', 'all')]


def test_images_are_split_by_class(tmp_path):
    write_images(tmp_path / 'cup', range(1, 11))
    write_images(tmp_path / 'book', range(101, 126))
    write_images(tmp_path / '.thumbnails', range(3))
    (tmp_path / 'notes.txt').write_text('not a class')
    (tmp_path / 'cup' / '.hidden').write_text('not an image')
    train, test, both = parts(tmp_path)
    for part, counts in ((train, [20, 8]), (test, [5, 2]), (both, [25, 10])):
        assert part.class_names == ('book', 'cup')
        assert np.bincount(part.labels).tolist() == counts
        assert part.images.shape == (sum(counts), 28, 28) and part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64
        assert ((part.images[:, 0, 0] > 100) == (part.labels == 0)).all()
    assert sorted(both.images[:, 0, 0]) == [*range(1, 11), *range(101, 126)]
    np.testing.assert_array_equal(both.images, np.concatenate((train.images, test.images)))
    np.testing.assert_array_equal(parts(tmp_path)[0].images, train.images)
    assert np.count_nonzero(np.diff(train.labels)) > 2  # shuffled, also across classes


def test_two_images_are_enough(tmp_path):
    for name in 'ab':
        write_images(tmp_path / name, (1, 2))
    train, test, _ = parts(tmp_path)
    assert sorted(train.labels) == sorted(test.labels) == [0, 1]


def test_images_of_any_size_are_centred(tmp_path):
    write_images(tmp_path / 'a', range(3), side=120)
    colour = np.full((90, 200, 3), 220, np.uint8)
    colour[20:60, 140:180] = 30
    cv2.imwrite(str(tmp_path / 'a' / 'colour.jpg'), colour)
    images = load_dataset(str(tmp_path)).images
    assert images.shape == (4, 28, 28) and images.max(axis=(1, 2)).min() > 200
    for image in images.astype(float):
        rows, columns = np.indices(image.shape)
        assert (rows * image).sum() / image.sum() == pytest.approx(13.5, abs=0.5)
        assert (columns * image).sum() / image.sum() == pytest.approx(13.5, abs=0.5)


def test_photographs_keep_colours_and_a_bounded_size(tmp_path):
    red, blue = (30, 40, 200), (200, 90, 20)  # blue, green, red
    for name, size, bgr in (('a', (40, 60), red), ('b', (600, 400), blue)):
        (tmp_path / name).mkdir()
        photograph = np.full((*size, 3), bgr, np.uint8)
        for index in range(2):
            cv2.imwrite(str(tmp_path / name / f'{index}.png'), photograph)
    deep = np.full((9, 9, 3), bgr, np.uint16) * 256
    cv2.imwrite(str(tmp_path / 'b' / 'deep.png'), deep)
    write_bag(tmp_path / 'b' / 'bag', [evt3_payload(0, 2)])  # the last is open
    train, test, both = (
        load_dataset(str(tmp_path), split, photographs=True) for split in ('train', 'test', 'all')
    )
    np.testing.assert_array_equal(both.labels, np.concatenate((train.labels, test.labels)))
    assert sorted(image.shape for image in both.images) == [
        (9, 9, 3),
        (28, 28, 3),
        (40, 60, 3),
        (40, 60, 3),
        (256, 171, 3),
        (256, 171, 3),
    ]
    for image, label in zip(both.images, both.labels):
        assert image.dtype == np.uint8
        if image.shape != (28, 28, 3):  # red, green, blue
            assert np.abs(image - np.array((red, blue)[label])[::-1]).max() <= 1
    # The same images are for training as in grey.
    np.testing.assert_array_equal(train.labels, load_dataset(str(tmp_path), 'train').labels)


def test_windows_of_a_bag_are_split_by_time(tmp_path):
    (tmp_path / 'a').mkdir()
    write_bag(tmp_path / 'a' / 'bag', [evt3_payload(0, 6), evt3_payload(6, 5)])  # the last is open
    write_images(tmp_path / 'b', range(5))
    train, test, _ = parts(tmp_path)
    assert np.bincount(train.labels).tolist() == [8, 4]
    assert np.bincount(test.labels).tolist() == [2, 1]

    def columns(part):  # where the object is: the window's number pooled from 480 pixels to 28
        return sorted({int(image.max(axis=0).argmax()) for image in part.images[part.labels == 0]})

    assert max(columns(train)) <= min(columns(test))
    assert all(image.max() == 255 for image in train.images[train.labels == 0])


def test_a_gap_starts_a_new_window(tmp_path):
    counts = []
    for seqs in ((0, 1, 2, 3), (0, 1, 9, 10)):
        bag = write_bag(
            tmp_path / str(seqs) / 'a' / 'bag',
            seqs=seqs,
            payloads=[evt3_payload(window, 1) for window in range(4)],
        )
        counts.append(len(load_dataset(str(bag.parents[1])).labels))
    assert counts == [3, 2]  # the open ones are dropped: the last, and the one before the gap


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f'no {RECORDINGS}: set TOPSPARK_DATA')
def test_real_bags(tmp_path):
    for name, recording in (('dvs', 'test_events_2'), ('hd', 'test_data_evt3_trigger')):
        shutil.copytree(RECORDINGS / recording, tmp_path / name)  # the class is the bag
    (tmp_path / 'half').mkdir()
    storage = 'libcaer_first_half/libcaer_first_half.db3'
    shutil.copy(RECORDINGS / storage, tmp_path / 'half')
    train, test, both = parts(tmp_path)
    assert both.class_names == ('dvs', 'half', 'hd')
    # 0.99, 0.98 and 1.25 s in whole windows of 50 ms.
    assert np.bincount(both.labels).tolist() == [19, 19, 25]
    assert np.bincount(test.labels).tolist() == [4, 4, 5]
    assert (both.images.max(axis=(1, 2)) == 255).all()


def test_rejected(tmp_path):
    names = ', '.join(DATASET_NAMES)
    missing = str(tmp_path / 'missing')
    assert rejection(missing) == (
        f'dataset is {missing!r}, accepted is one of {names}, or a folder '
        'with a sub-folder of images or event bags for each class'
    )
    assert rejection(str(tmp_path)) == (
        f'{tmp_path}: no sub-folder, accepted is one for each class with its images or event bags'
    )
    empty = tmp_path / 'empty'
    empty.mkdir()
    assert rejection(str(tmp_path)) == (
        f'{empty}: 0 samples, accepted is 2 or more: put images '
        'there, or event bags longer than 50 ms'
    )
    broken = empty / 'broken.png'
    broken.write_bytes(b'\x89PNG')
    assert rejection(str(tmp_path)) == (
        f"{broken}: data is 4 bytes of format '.png' that cannot be decoded, accepted is a whole "
        'JPEG or PNG file; in the folder of a class put images and event bags alone'
    )
    broken.unlink()
    (empty / 'folder').mkdir()
    assert rejection(str(tmp_path)).startswith(f'{empty / "folder"}: ')
    (empty / 'folder').rmdir()
    bag = empty / 'broken.mcap'
    bag.write_bytes(b'nothing')
    assert rejection(str(tmp_path)).startswith(
        f'{bag}: no MCAP file, which begins with other bytes, accepted is a whole'
    )
    bag.unlink()
    write_bag(empty / 'bag', [b''], encoding='evt4')
    assert rejection(str(tmp_path)).startswith(f"{empty / 'bag'}: encoding is 'evt4', accepted is ")
