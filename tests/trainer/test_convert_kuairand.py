"""The KuaiRand converter, on tiny frames of the sample's columns."""

import numpy as np
import pytest

from trainer import convert_kuairand

pd = pytest.importorskip('pandas')

DAY = 24 * 3_600_000
# 2022-04-25, 10:00 in Beijing.
MORNING = 1_650_852_000_000


def _log(rows):
    """Impressions from (user, video, time, click, long, like, play_ms)."""
    columns = ['user_id', 'video_id', 'time_ms', 'is_click', 'long_view',
               'is_like', 'play_time_ms']
    return pd.DataFrame(rows, columns=columns).assign(duration_ms=10_000,
                                                      tab=1)


def _events(log, history=()):
    history = pd.DataFrame(history, columns=[
        'user_id', 'last_time_ms', 'watch_seq', 'like_seq', 'long_watch_seq'])
    users = pd.DataFrame({'user_id': [1, 2, 3],
                          **{name: 'some' for name in
                             convert_kuairand._USER_COLUMNS.values()}})
    videos = pd.DataFrame({'video_id': [7, 8, 9], 'video_type': 'NORMAL',
                           'upload_type': ['Web', 'LongImport', 'Web'],
                           'video_duration': [60_000., '', 120_000.]})
    return convert_kuairand.events_of(log, history, users, videos)


def test_earlier_videos_keep_their_order_and_what_was_liked():
    events = _events(_log([(1, 9, MORNING, 1, 0, 0, 500)]),
                     [(1, MORNING - 5, '7 8 7', '9 8', '9 7'),
                      (2, MORNING, '7', '', '')])
    assert events['item'].tolist() == [7, 8, 7, 9]
    # The newest 7 is the one watched for long; user 2 saw no impression.
    assert events['action'].tolist() == ['earlier', 'earlier_liked',
                                         'earlier_long', 'clicked']
    assert events['time'].tolist() == [MORNING - 7, MORNING - 6, MORNING - 5,
                                       MORNING]
    assert events['is_click'].isna().tolist() == [True] * 3 + [False]


def test_impressions_say_what_happened():
    log = _log([(1, 7, MORNING, 0, 0, 0, 0), (1, 8, MORNING + 1, 1, 0, 0, 100),
                (1, 7, MORNING + 2, 1, 1, 0, 8_000),
                (1, 9, MORNING + 3, 0, 0, 1, 90_000)])
    events = _events(log)
    assert events['action'].tolist() == ['skipped', 'clicked', 'long_viewed',
                                         'liked']
    assert np.allclose(events['play_ratio'], [0, .01, .8, 2])
    assert events['hour'].tolist() == [10] * 4
    assert np.allclose(events['log_duration'], [0, 0, 0, np.log(2)])
    assert events['upload_web'].tolist() == [1, 0, 1, 1]


def test_statistics_are_those_of_earlier_days():
    rows = [(1, 7, MORNING, 1, 1, 0, 9_000), (2, 7, MORNING, 1, 0, 0, 900),
            (1, 8, MORNING, 0, 0, 0, 0), (3, 7, MORNING + DAY, 0, 0, 0, 0)]
    events = _events(_log(rows), [(3, MORNING - DAY, '7 8', '', '')])
    shown = events[events['is_click'].notna()]
    features = shown.set_index(['user', 'item'])[['log_shown', 'click_logit']]
    # The first day knows earlier views only.
    assert np.allclose(features.loc[(1, 7)], [np.log(2 / 100), 0])
    mean = .5
    rate = (2 + 20 * mean) / (2 + 20)
    assert np.allclose(features.loc[(3, 7)], [np.log(4 / 100),
                                              np.log(rate / (1 - rate))])


def test_statistics_end_before_validation():
    end = pd.Timestamp(convert_kuairand.STATISTICS_END, tz='Asia/Shanghai')
    end_ms = end.value // 1_000_000
    rows = [(1, 7, end_ms - 1, 1, 0, 0, 0), (2, 7, end_ms - 1, 0, 0, 0, 0),
            (1, 7, end_ms, 1, 0, 0, 0), (1, 7, end_ms + DAY, 1, 0, 0, 0)]
    shown = _events(_log(rows)).sort_values('time')
    assert np.allclose(shown['log_shown'].iloc[2:], np.log(3 / 100))
    assert np.allclose(shown['click_logit'].iloc[2:], 0)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match='log_standard.* is missing'):
        convert_kuairand.convert(tmp_path, tmp_path)
